import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConfigError } from '../../src/config/config.js';
import { DurableReaders } from '../../src/jobs/durable-readers.service.js';
import { JobWorker } from '../../src/jobs/job-worker.service.js';
import { UsersService } from '../../src/users/users.service.js';
import { Api } from '../support/api.js';
import { BuiltServer, temporaryFolder } from '../support/built-server.js';
import { Receiver, type Answerer, type ReceivedRequest } from '../support/receiver.js';
import { ADMIN, TestServer } from '../support/server.js';

const ENVIRONMENT = { HERALD_EXTENSIONS: 'herald/slack-notifier', WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' };
/** Timers may fire a little early. */
const TOLERANCE_MS = 20;

const taken: Answerer = (_request, response) => void response.writeHead(200).end('ok');
const answering =
  (status: number, body: string, headers: Record<string, string> = {}): Answerer =>
  (_request, response) =>
    void response.writeHead(status, headers).end(body);
const sectionOf = ({ body }: ReceivedRequest) =>
  (JSON.parse(body) as { blocks: [{ text: { text: string } }] }).blocks[0].text.text;

describe('the extension slack-notifier', () => {
  let server: TestServer;
  let slack: Receiver;
  let admin: string;
  beforeAll(async () => {
    slack = await Receiver.start();
    vi.stubEnv('SLACK_WEBHOOK_URL', slack.url);
    vi.stubEnv('SLACK_EVENTS', 'login.failed, user.*');
    server = await TestServer.start(ENVIRONMENT);
    admin = (await server.api.login(ADMIN)).accessToken;
  });
  beforeEach(() => void (slack.answer = taken));
  afterEach(async () => {
    await server.app.get(DurableReaders).caughtUp();
    await server.app.get(JobWorker).idle();
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server.close();
    await slack.close();
  });

  const fail = (email: string) => server.api.post('/auth/login', { email, password: 'wrong' });
  const about = (email: string) => slack.next(({ body }) => body.includes(email));
  const job = async (email: string) => {
    const { body } = await server.api.get('/jobs?type=slack.post&limit=200', admin);
    const jobs = await Promise.all(
      (body.data.items as { id: string }[]).map(({ id }) => server.api.get(`/jobs/${id}`, admin)),
    );
    return jobs.map((answer) => answer.body.data).find(({ payload }) => payload.payload.email === email);
  };

  it('posts the events that were chosen in Slack’s format, and no others', async () => {
    const user = await server.api.register();
    const registered = await about(user.id);
    expect(registered.headers['content-type']).toBe('application/json');
    expect(sectionOf(registered)).toBe(`*user.registered*\nuserId: ${user.id}`);
    await server.api.login(user);
    await server.api.post('/auth/logout', { refreshToken: user.refreshToken }, user.accessToken);
    await fail(user.email);
    const failed = await about(user.email);
    expect(JSON.parse(failed.body)).toMatchObject({ text: `login.failed, email: ${user.email}` });
    const types = slack.received.map((request) => /\*(.*)\*/.exec(sectionOf(request))?.[1]);
    expect(new Set(types)).toEqual(new Set(['user.registered', 'login.failed']));
  });

  it('sends one message a second, whatever comes', async () => {
    const emails = ['a', 'b', 'c'].map((name) => `${name}-pace@example.com`);
    for (const email of emails) await fail(email);
    const requests: ReceivedRequest[] = [];
    for (const email of emails) requests.push(await about(email));
    const times = requests.map(({ at }) => at);
    for (const [index, at] of times.slice(1).entries()) {
      expect(at - (times[index] ?? 0)).toBeGreaterThanOrEqual(1000 - TOLERANCE_MS);
    }
    expect(slack.peak).toBe(1);
  });

  it('waits as long as Retry-After says, with every message', async () => {
    slack.answer = answering(429, 'rate_limited', { 'Retry-After': '2' });
    await fail('first-429@example.com');
    await fail('second-429@example.com');
    const refused = await about('429@example.com');
    slack.answer = taken;
    const next = await about('429@example.com');
    expect(next.at - refused.at).toBeGreaterThanOrEqual(2000 - TOLERANCE_MS);
    await about('429@example.com');
    await vi.waitFor(async () => {
      const jobs = [await job('first-429@example.com'), await job('second-429@example.com')];
      expect(jobs.map(({ status }) => status)).toEqual(['completed', 'completed']);
      expect(jobs.flatMap(({ failures }) => failures)).toHaveLength(1);
    });
  });

  it('tries again when Slack fails', async () => {
    slack.answer = answering(500, 'oops');
    await fail('retry@example.com');
    await about('retry@example.com');
    slack.answer = taken;
    await about('retry@example.com');
    await vi.waitFor(async () => expect((await job('retry@example.com')).status).toBe('completed'));
    expect((await job('retry@example.com')).failures[0].error).toContain('Slack answered 500: oops');
  });

  it('lays a message aside that Slack will never take, until a person sends it again', async () => {
    slack.answer = answering(404, 'no_service');
    await fail('dead@example.com');
    await about('dead@example.com');
    const dead = await vi.waitFor(async () => {
      const found = await job('dead@example.com');
      expect(found.status).toBe('dead');
      return found;
    });
    expect(dead.failures[0].error).toContain('Slack answered 404: no_service');
    slack.answer = taken;
    await server.api.post('/jobs/redrive', { type: 'slack.post' }, admin);
    await about('dead@example.com');
  });

  it('posts once what happened while it was not running', async () => {
    const user = await server.api.register();
    await about(user.id);
    await server.app.get(JobWorker).idle();
    await server.app.close();
    await server.restartAfter((app) => app.get(UsersService).delete(user.id));
    expect(sectionOf(await about(user.id))).toContain('user.deleted');
    await server.app.get(JobWorker).idle();
    expect(slack.received.filter(({ body }) => body.includes(user.id))).toHaveLength(2);
  });
});

describe('what the extension slack-notifier is told', () => {
  afterEach(() => vi.unstubAllEnvs());

  it.each([
    ['without a URL', {}, /SLACK_WEBHOOK_URL: is required; for example/],
    [
      'with what is none',
      { SLACK_WEBHOOK_URL: 'hooks.slack.com/hunter2' },
      /SLACK_WEBHOOK_URL: \(not shown\) is not an/,
    ],
    [
      'with a filter that fits no event',
      { SLACK_WEBHOOK_URL: 'https://hooks.slack.com/x', SLACK_EVENTS: 'logn.*' },
      /SLACK_EVENTS: "logn\.\*" holds what is no filter: "logn\.\*" is not an event\. Valid names: user\.registered/,
    ],
  ])('stops the start %s', async (_what, variables, sentence) => {
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    const start = TestServer.start(ENVIRONMENT).then((started) => started.close());
    const error = await start.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(sentence);
    expect((error as Error).message).not.toContain('hunter2');
  });

  it('reaches no address that is not public, and its URL is in no log and no answer', async () => {
    const folder = temporaryFolder();
    const built = await BuiltServer.start({
      NODE_ENV: 'test',
      LOG_LEVEL: 'trace',
      DATABASE_URL: `sqlite:${folder.path}/herald.sqlite`,
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      HERALD_EXTENSIONS: 'herald/slack-notifier',
      SLACK_WEBHOOK_URL: 'http://127.0.0.1:9/services/hunter2',
      SLACK_EVENTS: 'login.failed',
    });
    const api = new Api(`${built.url}/api/v1`);
    const { accessToken } = await api.login(ADMIN);
    await api.post('/auth/login', { email: 'x@example.com', password: 'x' });
    const jobs = await vi.waitFor(async () => {
      const { body } = await api.get('/jobs?type=slack.post', accessToken);
      expect(body.data.items[0].failures[0].error).toContain('127.0.0.1 is not a public address (loopback)');
      return body as object;
    });
    expect((await built.stop('SIGTERM')).code).toBe(0);
    expect(built.output).toContain('slack.post');
    expect(built.output + JSON.stringify(jobs)).not.toContain('hunter2');
    folder.remove();
  });
});
