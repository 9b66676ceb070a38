import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordEnvironment, recordOutput, recordStart } from './recorder.js';

/** The built server as a process of its own, the way it is deployed; `npm run build` comes first. */
export class BuiltServer {
  /** Everything the process has printed, on either stream. */
  output = '';
  url = '';
  /** Settles when the process is gone. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  private constructor(readonly process: ChildProcess) {
    for (const stream of [process.stdout, process.stderr]) {
      recordOutput(stream);
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.exited = once(process, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
  }

  /** Spawns the server with exactly these variables beside PATH; the caller decides what to wait for. */
  static spawn(environment: Record<string, string>, command = `${process.execPath} dist/src/main.js`): BuiltServer {
    const [program = '', ...words] = command.split(' ');
    const child = spawn(program, words, {
      env: {
        PATH: process.env['PATH'],
        HOST: '127.0.0.1',
        PORT: '0',
        LOG_FORMAT: 'json',
        LOG_LEVEL: 'trace',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new BuiltServer(child);
  }

  /** Spawns the server and waits until it listens. @throws Error with its output when it ends instead. */
  static async start(environment: Record<string, string>, command?: string): Promise<BuiltServer> {
    const server = BuiltServer.spawn(environment, command);
    const listening = new Promise<void>((resolve) => {
      const look = (): void => {
        const url = /listening on (http:\S+?)"/.exec(server.output)?.[1];
        if (url === undefined) return;
        server.process.stdout?.off('data', look);
        server.url = url;
        recordStart();
        recordEnvironment(environment);
        resolve();
      };
      server.process.stdout?.on('data', look);
    });
    await Promise.race([
      listening,
      server.exited.then(() => {
        throw new Error(`the server did not start:\n${server.output}`);
      }),
    ]);
    return server;
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.process.kill(signal);
    return this.exited;
  }
}

/** A folder for one test, and its removal. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'herald-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
