import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

const ALL = `0-${availableParallelism() - 1}`;

/** Every benchmark, and the cores its main process runs on; what it spawns takes the other one, or shares them all. */
const BENCHMARKS: Record<string, number | string> = {
  jobs: 0,
  webhooks: 1,
  rest: 1,
  realtime: 1,
  connections: 1,
  'slow-consumers': 1,
  reconnect: 1,
  revocation: 1,
  postgres: ALL,
  soak: 1,
};
/** Takes so long that it must be asked for. */
const LONG = new Set(['soak']);

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in BENCHMARKS));
if (unknown.length > 0) {
  process.stderr.write(
    `There is no benchmark ${unknown.join(', ')}: choose from ${Object.keys(BENCHMARKS).join(', ')}\n`,
  );
  process.exit(1);
}
if (availableParallelism() < 2) {
  process.stderr.write('Benchmarks need two cores: one for the server, one for its clients\n');
  process.exit(1);
}
for (const [name, core] of Object.entries(BENCHMARKS)) {
  if (wanted.length > 0 ? !wanted.includes(name) : LONG.has(name)) continue;
  process.stdout.write(`${name}\n`);
  const script = new URL(`./${name}.js`, import.meta.url).pathname;
  const { status } = spawnSync('taskset', ['-c', String(core), process.execPath, script], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
