import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DocumentSchemas, step, type Json } from '../support/document-schemas.js';
import { DocumentedWorld, PREPARATIONS, type RealThings } from '../support/documented-world.js';
import { Receiver } from '../support/receiver.js';
import { TestServer } from '../support/server.js';
import type { WsMessage } from '../support/ws-client.js';

interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  schema: { examples?: unknown[] };
}
interface Content {
  [mediaType: string]: { schema: Json; example?: Json };
}
interface Operation {
  method: string;
  path: string;
  summary: string;
  parameters: Parameter[];
  example: Json | undefined;
  status: number;
  content: Content | undefined;
}

let server: TestServer;
let receiver: Receiver;
let world: DocumentedWorld;
let schemas: DocumentSchemas;
const operations = new Map<string, Operation>();

async function read(path: string): Promise<Json> {
  return (await fetch(`${server.url}${path}`)).json() as Promise<Json>;
}

beforeAll(async () => {
  receiver = await Receiver.start();
  server = await TestServer.start({
    WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
    HERALD_EXTENSIONS: 'herald/user-notes,herald/security-alerts',
  });
  world = new DocumentedWorld(server, receiver);
  await world.prepare();
  const document = await read('/docs');
  schemas = new DocumentSchemas(document);
  for (const [path, methods] of Object.entries(document['paths'] as Record<string, Record<string, Json>>)) {
    for (const [method, operation] of Object.entries(methods)) {
      operations.set(operation['operationId'] as string, toOperation(method, path, operation));
    }
  }
});
afterAll(async () => {
  await server.close();
  await receiver.close();
});

function toOperation(method: string, path: string, operation: Json): Operation {
  const responses = operation['responses'] as Record<string, { content?: Content }>;
  const status = Object.keys(responses).find((key) => key.startsWith('2')) ?? '';
  const body = operation['requestBody'] as { content: Content } | undefined;
  return {
    method,
    path,
    summary: operation['summary'] as string,
    parameters: (operation['parameters'] ?? []) as Parameter[],
    example: body?.content['application/json']?.example,
    status: Number(status),
    content: responses[status]?.content,
  };
}

describe('the examples of the OpenAPI document', () => {
  it('are here for every operation, each of which says what it is', () => {
    expect([...operations.keys()].toSorted()).toEqual(Object.keys(PREPARATIONS).toSorted());
    for (const { summary } of operations.values()) expect(summary).not.toContain('not documented');
  });

  it.each(Object.keys(PREPARATIONS))('%s does what they say', async (operationId) => {
    const operation = operations.get(operationId) as Operation;
    const response = await send(operation, (await PREPARATIONS[operationId]?.(world)) ?? {});
    const [mediaType = ''] = Object.keys(operation.content ?? {});
    const type = response.headers.get('content-type') ?? '';
    // The stream has no end, and its head says all.
    const text = mediaType === 'text/event-stream' ? '' : await response.text();
    await response.body?.cancel().catch(() => undefined);
    expect(response.status, text).toBe(operation.status);
    if (mediaType === '') return expect(text).toBe('');
    if (mediaType !== '*/*') expect(type).toContain(mediaType);
    if (mediaType !== 'application/json') return expect(text === '').toBe(mediaType === 'text/event-stream');
    const answer = JSON.parse(text) as Json;
    const { method, path, status, content } = operation;
    const pointer = `/paths${step(path)}/${method}/responses/${status}/content/application~1json/schema`;
    expect(schemas.problemsOf(pointer, answer), text).toEqual([]);
    const example = content?.[mediaType]?.example;
    if (!operationId.startsWith('Docs.')) expect(example, 'an example').toBeDefined();
    expect(missingFrom(answer, example), text).toEqual([]);
  });
});

/** Sends the example of an operation; what it names that there is not here is replaced. */
function send({ method, path, parameters, example }: Operation, real: RealThings): Promise<Response> {
  const exampleOf = (where: Parameter['in']) =>
    Object.fromEntries(
      parameters
        .filter((parameter) => parameter.in === where && parameter.schema.examples !== undefined)
        .map(({ name, schema }) => [name, String(schema.examples?.[0])]),
    );
  const inPath = { ...exampleOf('path'), ...real.path };
  const query = new URLSearchParams({ ...exampleOf('query'), ...real.query }).toString();
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(inPath[name] ?? ''));
  return fetch(`${server.url}${filled}${query === '' ? '' : `?${query}`}`, {
    method: method.toUpperCase(),
    headers: {
      ...exampleOf('header'),
      ...real.headers,
      ...(real.token !== undefined && { Authorization: `Bearer ${real.token}` }),
      ...(example && { 'Content-Type': 'application/json' }),
    },
    ...(example && { body: JSON.stringify({ ...example, ...real.body }) }),
  });
}

/** What is another thing with every type. */
const FREE = new Set(['payload', 'details', 'counts']);

/** Returns the keys of an example that an answer has not, however deep; of lists, the first items are compared. */
function missingFrom(answer: unknown, example: unknown, path = ''): string[] {
  if (Array.isArray(example) && example.length > 0) {
    const [first] = (answer ?? []) as unknown[];
    return first === undefined ? [`${path}[0]`] : missingFrom(first, example[0], `${path}[0]`);
  }
  if (typeof example !== 'object' || example === null || typeof answer !== 'object' || answer === null) return [];
  return Object.entries(example).flatMap(([key, value]) => {
    const at = `${path}.${key}`;
    if (!(key in answer)) return [at];
    return FREE.has(key) ? [] : missingFrom((answer as Json)[key], value, at);
  });
}

describe('the examples of the AsyncAPI document', () => {
  interface Message {
    headers?: { properties: Json };
    examples?: { payload: Json }[];
  }
  interface Reply {
    action: string;
    messages: { $ref: string }[];
    reply?: { messages: { $ref: string }[] };
  }
  let async: DocumentSchemas;
  let channels: Record<string, { messages: Record<string, Message> }>;
  let replies: Record<string, Reply>;

  beforeAll(async () => {
    const document = await read('/docs/asyncapi.json');
    async = new DocumentSchemas(document);
    channels = document['channels'] as typeof channels;
    replies = document['operations'] as typeof replies;
  });

  /** Returns the messages of the document, by their references, that a value is one of. */
  const oneOf = (references: readonly string[], value: unknown): string[] =>
    references.filter((reference) => {
      return async.problemsOf(`${reference.slice(1)}/payload`, value).length === 0;
    });
  const messagesOf = (channel: string) =>
    Object.keys(channels[channel]?.messages ?? {}).map((name) => `#/channels/${channel}/messages/${name}`);
  const exampleOf = (channel: string, name: string) =>
    channels[channel]?.messages[name]?.examples?.[0]?.payload ?? expect.fail(`${name} has no example`);

  it('are there for every message', () => {
    const without = Object.entries(channels).flatMap(([channel, { messages }]) =>
      Object.entries(messages)
        .filter(([, { examples }]) => examples === undefined)
        .map(([name]) => `${channel} ${name}`),
    );
    expect(without).toEqual([]);
  });

  it('WebSocket: every message of a client gets one of its answers, and everything that comes is one of the messages', async () => {
    const account = await world.account();
    const lastEventId = await world.eventOf(account);
    const real: Record<string, Json> = { auth: { token: account.accessToken }, subscribe: { lastEventId } };
    const client = await server.webSocket();
    const received = Object.entries(replies).filter(([, { action }]) => action === 'receive');
    expect(received.map(([name]) => name).toSorted()).toEqual(['auth', 'ping', 'subscribe', 'unsubscribe']);
    const seen = new Set<string>();
    const expectAnswer = async (name: string, message: Json): Promise<void> => {
      client.send(message);
      const answer = await client.next(({ type }) => type !== 'event');
      const references = replies[name]?.reply?.messages.map(({ $ref }) => $ref) ?? [];
      const [fitting] = oneOf(references, answer);
      expect(fitting, JSON.stringify(answer)).toBeDefined();
      seen.add(fitting ?? '');
    };
    await expectAnswer('subscribe', exampleOf('webSocket', 'subscribe'));
    await expectAnswer('auth', exampleOf('webSocket', 'auth'));
    for (const name of ['auth', 'subscribe', 'unsubscribe', 'ping']) {
      await expectAnswer(name, { ...exampleOf('webSocket', name), ...real[name] });
      if (name === 'subscribe') await client.next(({ type }) => type === 'replayed');
    }
    await server.api.delete('/users/me', account.accessToken);
    await client.closed;
    const sent = [
      ...Object.values(replies).flatMap(({ reply }) => reply?.messages ?? []),
      ...(replies['event']?.messages ?? []),
    ];
    const all = [...new Set(sent.map(({ $ref }) => $ref))];
    for (const message of client.received) {
      const fitting = oneOf(all, message);
      expect(fitting, JSON.stringify(message)).not.toEqual([]);
      fitting.forEach((reference) => seen.add(reference));
    }
    const names = [...seen].map((reference) => reference.split('/').at(-1) ?? '').toSorted();
    expect(names).toEqual(['authAccepted', 'authRefused', 'error', 'pong', 'replayed', 'subscribed']);
  });

  it('WebSocket: an event comes as it is described', async () => {
    const account = await world.account();
    const client = await server.subscriber(account.accessToken);
    await server.api.login(account);
    const message: WsMessage = await client.nextEvent('login.success');
    expect(oneOf(messagesOf('webSocket'), message)).toEqual(['#/channels/webSocket/messages/event']);
  });

  it('Server-Sent Events: blocks are as they are described, the last one too', async () => {
    const account = await world.account();
    const stream = await server.stream({ token: account.accessToken });
    await stream.next(({ text }) => text.startsWith('retry:'));
    await server.api.login(account);
    await server.api.delete('/users/me', account.accessToken);
    await stream.ended;
    const blocks = stream.received.filter(({ event }) => event !== undefined);
    expect(blocks.map(({ event }) => event)).toEqual(['login.success', 'user.deleted', 'stream.end']);
    for (const { event = '', id, data = '' } of blocks) {
      const pointer = `/channels/stream/messages/${event}`;
      expect(async.problemsOf(`${pointer}/headers`, { event, ...(id !== undefined && { id }) }), event).toEqual([]);
      expect(async.problemsOf(`${pointer}/payload`, JSON.parse(data)), event).toEqual([]);
    }
  });

  it('webhooks: an event and a test arrive as they are described', async () => {
    const { id } = await world.data('POST', '/webhooks', { url: receiver.url, events: ['login.failed'] });
    const arrived = async (type: string): Promise<void> => {
      const { headers, body } = await receiver.next((request) => request.headers['x-webhook-event'] === type);
      const pointer = `/channels/webhook/messages/${type}`;
      const known = Object.keys(channels['webhook']?.messages[type]?.headers?.properties ?? {});
      // Names of headers are the same in any case.
      const given = Object.fromEntries(
        known.map((name) => [name, headers[name.toLowerCase()]]).filter(([, value]) => value !== undefined),
      ) as Json;
      expect(async.problemsOf(`${pointer}/headers`, given), JSON.stringify(given)).toEqual([]);
      expect(async.problemsOf(`${pointer}/payload`, JSON.parse(body)), body).toEqual([]);
    };
    await world.data('POST', `/webhooks/${id as string}/test`);
    await arrived('webhook.test');
    await server.api.post('/auth/login', { email: 'nobody@example.com', password: 'wrong' });
    await arrived('login.failed');
  });
});
