import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Starts a server of the benchmarks on core 0, and resolves with the first message that it sends. */
export async function startServer<T extends object>(
  script: string,
  environment: Record<string, string> = {},
): Promise<T & { child: ChildProcess }> {
  const path = new URL(`./${script}.js`, import.meta.url).pathname;
  const child = spawn('taskset', ['-c', '0', process.execPath, '--expose-gc', path], {
    // The service logs each request, as it does in production; nobody reads it here.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, ...environment },
  });
  const [ready] = (await once(child, 'message')) as [T];
  return { ...ready, child };
}

/** Stops it. */
export async function stopServer(child: ChildProcess): Promise<void> {
  child.send({ stop: true });
  await once(child, 'exit');
}

/** Logs in the admin of the benchmarks and returns the access token. */
export async function loginAsAdmin(port: number): Promise<string> {
  const login = await fetch(`http://127.0.0.1:${port}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ email: 'admin@example.com', password: 'Admin-password-1' }),
  });
  return ((await login.json()) as { data: { accessToken: string } }).data.accessToken;
}
