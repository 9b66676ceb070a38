import type { z } from 'zod';
import { PREFIX } from '../common/routes.js';
import { eventTypes } from '../events/catalogue.js';
import { eventId, envelopeOf } from '../events/event.schemas.js';
import { CLOSE_MEANINGS } from '../realtime/close-codes.js';
import { streamData, streamSignals } from '../realtime/stream-messages.js';
import { clientMessages, eventMessage, serverMessages } from '../realtime/ws-messages.js';
import { webhookHeaders } from '../webhooks/signature.js';
import { testMessage } from '../webhooks/webhook.schemas.js';
import { SchemaComponents, type JsonSchema } from './schema-components.js';

/** A part of an AsyncAPI document. */
type Json = Record<string, unknown>;

const DESCRIPTION = `Every significant act in Herald becomes a domain event. It reaches clients over WebSocket or as Server-Sent Events, and
other systems as signed webhooks, under the same id everywhere: that id is the cursor to resume from.

Everybody sees the events that are about them, admins all. REST is described in [/docs](/docs).`;

/** What answers each message of a client. */
const ANSWERS: Record<keyof typeof clientMessages, (keyof typeof serverMessages)[]> = {
  auth: ['authAccepted', 'authRefused', 'error'],
  subscribe: ['subscribed', 'replayed', 'error'],
  unsubscribe: ['subscribed', 'error'],
  ping: ['pong', 'error'],
};

/** Describes the live side and webhooks as an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0). */
export function buildAsyncApi(url: string, version: string): Json {
  const components = new SchemaComponents('draft-7');
  const { protocol, host } = new URL(url);
  const isSecure = protocol === 'https:';
  const channels = {
    webSocket: webSocketChannel(components),
    stream: streamChannel(components),
    webhook: webhookChannel(components),
  };
  return {
    asyncapi: '3.0.0',
    info: { title: 'Herald', version, description: DESCRIPTION, license: { name: 'MIT' } },
    defaultContentType: 'application/json',
    servers: {
      webSocket: { host, protocol: isSecure ? 'wss' : 'ws', description: 'WebSocket.' },
      http: {
        host,
        protocol: isSecure ? 'https' : 'http',
        description: 'Server-Sent Events.',
        security: Object.keys(SECURITY_SCHEMES).map((name) => ({ $ref: `#/components/securitySchemes/${name}` })),
      },
    },
    channels,
    operations: operationsOf(channels),
    components: { securitySchemes: SECURITY_SCHEMES, schemas: components.schemas },
  };
}

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
  apiKey: { type: 'httpApiKey', name: 'X-API-Key', in: 'header', description: 'With the scope `events:read`.' },
  queryToken: { type: 'httpApiKey', name: 'token', in: 'query', description: 'An access token, for EventSource.' },
  queryTicket: { type: 'httpApiKey', name: 'ticket', in: 'query', description: 'A ticket, once.' },
};

function webSocketChannel(components: SchemaComponents): Json {
  const ticket = { type: 'string', description: 'Authenticates with a ticket instead of an `auth` message.' };
  return {
    address: '/ws',
    title: 'WebSocket',
    description: `JSON in text messages, those of one connection handled strictly in order. Close codes: ${list(CLOSE_MEANINGS)}`,
    servers: [{ $ref: '#/servers/webSocket' }],
    bindings: { ws: { query: { type: 'object', properties: { ticket } }, bindingVersion: '0.1.0' } },
    'x-close-codes': CLOSE_MEANINGS,
    messages: {
      ...mapValues(clientMessages, (schema) => messageOf(schema, components, 'input')),
      ...mapValues(serverMessages, (schema) => messageOf(schema, components)),
      event: messageOf(eventMessage(), components),
    },
  };
}

function streamChannel(components: SchemaComponents): Json {
  const events = eventTypes().map((type) => [
    type,
    blockOf(type, streamData(type), components, components.of(eventId)),
  ]);
  const query = {
    events: { type: 'string', description: 'Types, separated by commas; `prefix.*` for several. All without it.' },
    lastEventId: { type: 'string', description: 'Resumes after an event; the header `Last-Event-ID` wins.' },
  };
  return {
    address: `/${PREFIX}/events/stream`,
    title: 'Server-Sent Events',
    description: `Blocks of the event stream format (WHATWG HTML §9.2): the headers of a message are its \`event:\` and \`id:\`
lines, the payload is its \`data:\` line. The first block is a \`retry:\` of its own for each client; a comment, \`:heartbeat\`, comes
every \`SSE_HEARTBEAT_MS\`.`,
    servers: [{ $ref: '#/servers/http' }],
    'x-query': query,
    messages: {
      ...(Object.fromEntries(events) as Json),
      ...mapValues(streamSignals, (schema, name) => blockOf(name, schema, components)),
    },
  };
}

function webhookChannel(components: SchemaComponents): Json {
  const webhook = (type: string, schema: z.ZodType): Json => {
    const headers = components.of(
      webhookHeaders.extend({
        'X-Webhook-Event': webhookHeaders.shape['X-Webhook-Event'].meta({ const: type, examples: [type] }),
      }),
    );
    return messageOf(schema, components, 'output', headers);
  };
  return {
    address: null,
    title: 'Webhooks',
    description:
      'A POST to the URL of each endpoint whose filters let the event through. Any 2xx is success; what fails is sent again.',
    messages: {
      ...(Object.fromEntries(eventTypes().map((type) => [type, webhook(type, envelopeOf(type))])) as Json),
      'webhook.test': webhook('webhook.test', testMessage),
    },
  };
}

function operationsOf(channels: Record<'webSocket' | 'stream' | 'webhook', Json>): Json {
  const refsTo = (channel: keyof typeof channels, names: readonly string[]) => ({
    channel: { $ref: `#/channels/${channel}` },
    messages: names.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` })),
  });
  const received = mapValues(ANSWERS, (answers, name) => ({
    action: 'receive',
    ...refsTo('webSocket', [name]),
    reply: refsTo('webSocket', answers),
  }));
  const all = (channel: keyof typeof channels) => refsTo(channel, Object.keys(channels[channel]['messages'] as Json));
  return {
    ...received,
    event: { action: 'send', summary: 'Sends an event.', ...refsTo('webSocket', ['event', 'authExpiring']) },
    stream: { action: 'send', summary: 'Streams events.', ...all('stream') },
    webhook: {
      action: 'send',
      summary: 'Delivers an event to an endpoint.',
      ...all('webhook'),
      bindings: { http: { method: 'POST', bindingVersion: '0.3.0' } },
    },
  };
}

/** A block of the event stream: the lines before its data are described as headers. */
function blockOf(event: string, data: z.ZodType, components: SchemaComponents, id?: JsonSchema): Json {
  const properties = { event: { const: event }, ...(id && { id }) };
  const headers = { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
  return messageOf(data, components, 'output', headers);
}

function messageOf(
  schema: z.ZodType,
  components: SchemaComponents,
  io: 'input' | 'output' = 'output',
  headers?: JsonSchema,
): Json {
  const payload = components.of(schema, io);
  const example = components.exampleOf(payload);
  const headersExample = headers && components.exampleOf(headers);
  return {
    summary: components.resolve(payload).description ?? '',
    ...(headers && { headers }),
    payload,
    ...(example !== undefined && {
      examples: [{ payload: example, ...(headersExample !== undefined && { headers: headersExample }) }],
    }),
  };
}

function mapValues<K extends string, V, R>(of: Readonly<Record<K, V>>, to: (value: V, key: K) => R): Record<K, R> {
  const entries = Object.entries(of) as [K, V][];
  return Object.fromEntries(entries.map(([key, value]) => [key, to(value, key)])) as Record<K, R>;
}

function list(of: Readonly<Record<string, string>>): string {
  return Object.entries(of)
    .map(([key, value]) => `\n- ${key}: ${value}`)
    .join('');
}
