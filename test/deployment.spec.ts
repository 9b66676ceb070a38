import { existsSync, readFileSync } from 'node:fs';
import semver from 'semver';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../src/config/config.js';
import { envSchema } from '../src/config/env.schema.js';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const manifest = JSON.parse(read('package.json')) as { version: string; engines: { node: string } };
const dockerfile = read('Dockerfile');
const single = parse(read('compose.sqlite.yaml'), { strict: true });
const cluster = parse(read('compose.yaml'), { strict: true, merge: true });
const INSTANCES = ['herald-1', 'herald-2'];
const workflow = parse(read('.github/workflows/ci.yml'), { strict: true });
// oxlint-disable-next-line typescript/no-explicit-any -- manifests of every kind
const kubernetes: Record<string, any> = Object.fromEntries(
  ['herald', 'secret.example'].flatMap((name) =>
    parseAllDocuments(read(`deploy/kubernetes/${name}.yaml`), { strict: true }).map((document) => {
      if (document.errors.length > 0) throw document.errors[0];
      const value = document.toJS();
      return [value.kind, value];
    }),
  ),
);
const pod = kubernetes['Deployment'].spec.template.spec;
const [container] = pod.containers;
const podEnvironment: Record<string, string> = Object.fromEntries(
  container.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
);
const secrets = kubernetes['Secret'].stringData as Record<string, string>;

/** What somebody would fill in. */
const FILLED_IN = {
  JWT_SECRET: 'k'.repeat(48),
  DATA_KEY: Buffer.alloc(32, 1).toString('base64'),
  ADMIN_EMAIL: 'admin@example.com',
  ADMIN_PASSWORD: 'Admin-password-1',
  METRICS_TOKEN: 'm'.repeat(48),
};
const imageEnvironment = Object.fromEntries(
  [...(/^ENV (.+)$/m.exec(dockerfile)?.[1] ?? '').matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
) as Record<string, string>;
const EXPOSED = Number(/^EXPOSE (\d+)$/m.exec(dockerfile)?.[1]);

const environments: [string, Record<string, string>][] = [
  ['the image', imageEnvironment],
  ['compose.sqlite.yaml', single.services.herald.environment],
  ['the Deployment and its Secret', { ...podEnvironment, ...secrets }],
];

describe('what is deployed', () => {
  it.each(environments)('%s: sets only variables that exist, to values that are accepted', (_, environment) => {
    expect(Object.keys(envSchema.shape)).toEqual(expect.arrayContaining(Object.keys(environment)));
    const config = loadConfig({ ...environment, ...FILLED_IN });
    expect(config.isProduction).toBe(true);
    expect(config.PORT).toBe(EXPOSED);
    // The one place that can be written to, and that is kept.
    expect(config.DATABASE_URL).toEqual({ kind: 'sqlite', file: '/data/herald.sqlite' });
  });

  it('compose.yaml: two instances alike, on one database, behind a balancer that asks them whether they are ready', () => {
    const [first, second] = INSTANCES.map((name) => cluster.services[name]);
    expect(second).toEqual(first);
    const { environment } = first;
    expect(Object.keys(envSchema.shape)).toEqual(expect.arrayContaining(Object.keys(environment)));
    const url = (environment.DATABASE_URL as string).replace(/\$\{POSTGRES_PASSWORD:\?[^}]*\}/, 'password');
    const config = loadConfig({ ...environment, DATABASE_URL: url, ...FILLED_IN });
    expect(config.DATABASE_URL).toEqual({ kind: 'postgres', url: 'postgres://herald:password@postgres:5432/herald' });
    expect(first).toMatchObject({ read_only: true, depends_on: { postgres: { condition: 'service_healthy' } } });
    const { postgres, balancer } = cluster.services;
    expect(postgres.environment).toMatchObject({ POSTGRES_USER: 'herald', POSTGRES_DB: 'herald' });
    // Whoever the balancer is may say whose a request is, and nobody else.
    expect(config.TRUST_PROXY).toEqual([cluster.networks.inside.ipam.config[0].subnet]);
    expect(balancer.depends_on).toEqual(INSTANCES);
    const caddyfile = read('deploy/balancer/Caddyfile');
    expect(caddyfile).toContain(`reverse_proxy ${INSTANCES.map((name) => `${name}:${EXPOSED}`).join(' ')} {`);
    expect(caddyfile).toContain('health_uri /readiness');
  });

  it('names in the Secret what must be filled in, and holds nothing that would be accepted as it is', () => {
    expect(() => loadConfig({ ...podEnvironment, ...secrets })).toThrow(
      /JWT_SECRET[^]*DATA_KEY[^]*ADMIN_PASSWORD[^]*METRICS_TOKEN/,
    );
    expect(container.envFrom).toEqual([{ secretRef: { name: kubernetes['Secret'].metadata.name } }]);
  });

  it('is given more time to end than it takes', () => {
    const neededMs = (environment: Record<string, string>) => {
      const { SHUTDOWN_DELAY_MS, SHUTDOWN_GRACE_MS } = loadConfig({ ...environment, ...FILLED_IN });
      return SHUTDOWN_DELAY_MS + SHUTDOWN_GRACE_MS;
    };
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(neededMs(podEnvironment));
    for (const { environment, stop_grace_period: period } of [single.services.herald, cluster.services['herald-1']]) {
      const { DATABASE_URL: _, ...others } = environment;
      expect(Number(/^(\d+)s$/.exec(period)?.[1]) * 1000).toBeGreaterThan(neededMs(others));
    }
  });

  it('is asked where it answers', () => {
    expect(container.ports).toEqual([{ name: 'http', containerPort: EXPOSED }]);
    expect(kubernetes['Service'].spec.ports[0].targetPort).toBe('http');
    const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
    expect(probes.map(({ httpGet }) => httpGet)).toEqual(
      ['/health', '/health', '/readiness'].map((path) => ({ path, port: 'http' })),
    );
    const controller = read('src/health/health.controller.ts');
    for (const { httpGet } of probes) expect(controller).toContain(`@Get('${httpGet.path.slice(1)}')`);
    expect(dockerfile).toMatch(/^HEALTHCHECK .*\\\n.*\/health/m);
  });

  it('runs as nobody special, on a file system it cannot write to, and never twice on one file', () => {
    expect(dockerfile).toMatch(/^USER 1000:1000$/m);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });
    expect(container.securityContext).toMatchObject({ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false });
    expect(single.services.herald).toMatchObject({ read_only: true, volumes: ['data:/data'] });
    expect(container.volumeMounts).toContainEqual({ name: 'data', mountPath: '/data' });
    expect(kubernetes['Deployment'].spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
  });

  it('is built from what the build needs, and from nothing secret', () => {
    const kept = [...read('.dockerignore').matchAll(/^!(.+)$/gm)].map(([, path = '']) => path);
    expect(kept.filter((path) => !existsSync(new URL(`../${path}`, import.meta.url)))).toEqual([]);
    expect(kept).not.toContain('.env');
    expect(read('.dockerignore')).toMatch(/^\*$/m);
    expect(container.image).toBe(`herald:${manifest.version}`);
  });
});

describe('the CI workflow', () => {
  it('runs on the oldest Node there may be and on every line after it that is kept up', () => {
    const versions: string[] = workflow.jobs.test.strategy.matrix.node;
    expect(versions).toContain(semver.minVersion(manifest.engines.node)?.version.replace(/\.0$/, ''));
    expect(versions).toEqual(expect.arrayContaining(['22', '24']));
    expect(versions).toContain(read('.nvmrc').trim());
    expect(dockerfile.match(/^FROM node:(\d+)-/gm)).toEqual(Array(2).fill(`FROM node:${read('.nvmrc').trim()}-`));
  });

  it('checks and tests, and may only read', () => {
    const commands = workflow.jobs.test.steps.flatMap(({ run }: { run?: string }) => run ?? []);
    expect(commands).toEqual(['npm ci', 'npm run check', 'npm test']);
    expect(workflow.permissions).toEqual({ contents: 'read' });
  });
});
