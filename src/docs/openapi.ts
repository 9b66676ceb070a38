import type { z } from 'zod';
import { HTTP_STATUS, type ErrorCode } from '../common/app-error.js';
import type { Route } from './documented-routes.js';
import { errorAnswer } from './error-answer.js';
import { SchemaComponents, type JsonSchema } from './schema-components.js';

/** A part of an OpenAPI document. */
type Json = Record<string, unknown>;

const JSON_TYPE = 'application/json';

/** When each error is answered unless a route says more, and whether it follows from what the route is. */
const ERRORS: Record<ErrorCode, { when: string; follows: (route: Route) => boolean }> = {
  BAD_REQUEST: { when: 'The request is malformed.', follows: () => true },
  UNAUTHORIZED: {
    when: 'The token, ticket or key is missing, not valid, or has expired.',
    follows: ({ isPublic }) => !isPublic,
  },
  FORBIDDEN: { when: 'The caller may not do this.', follows: ({ isPublic }) => !isPublic },
  NOT_FOUND: { when: 'It does not exist, or is not the caller’s.', follows: ({ path }) => path.includes(':') },
  CONFLICT: { when: 'It cannot be done in the present state.', follows: () => false },
  PAYLOAD_TOO_LARGE: {
    when: 'The body is larger than `HTTP_MAX_BODY_BYTES`.',
    follows: ({ body }) => body !== undefined,
  },
  VALIDATION: {
    when: 'The request is not valid; `details` says what is wrong with it.',
    follows: ({ body, query }) => body !== undefined || query !== undefined,
  },
  RATE_LIMITED: {
    when: 'Too many requests; `Retry-After` says when to try again.',
    follows: ({ isRateLimited }) => isRateLimited,
  },
  INTERNAL: { when: 'Something went wrong on the service’s side.', follows: () => true },
  SERVICE_UNAVAILABLE: { when: 'The service or its database is not available right now.', follows: () => true },
};
const CODES = Object.keys(ERRORS) as ErrorCode[];

const DESCRIPTION = `Accounts and access over REST; every significant act becomes a domain event that nothing can lose.

An answer is \`{"data": …}\`, an error \`{"error": {"code", "message", "details"?}, "requestId"}\`. \`X-Request-Id\` is echoed,
or made. The live side, over WebSocket and Server-Sent Events, and webhooks are described in
[/docs/asyncapi.json](/docs/asyncapi.json).`;

/** What a newcomer tries first; the others follow in the order of their registration. */
const FIRST_TAGS = ['auth', 'users', 'events'];

/** The page puts the cursor into the last one, so that is the one that most people fill in. */
const SECURITY_SCHEMES = {
  queryToken: {
    type: 'apiKey',
    in: 'query',
    name: 'token',
    description: 'An access token, for browsers’ EventSource.',
  },
  queryTicket: {
    type: 'apiKey',
    in: 'query',
    name: 'ticket',
    description: 'A ticket, once: no token stands in a URL.',
  },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'Does what its scopes say, as its owner.' },
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'The access token of a login.' },
};

/** Describes the REST side as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1). */
export function buildOpenApi(routes: readonly Route[], version: string): Json {
  const components = new SchemaComponents('draft-2020-12');
  const paths: Record<string, Json> = {};
  /** The errors that several routes answer in the same words. */
  const shared = new Set<ErrorCode>();
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    (paths[path] ??= {})[route.method] = operationOf(route, components, shared);
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Herald',
      version,
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'The server that this document is from.' }],
    tags: [...new Set([...FIRST_TAGS, ...routes.map(({ tag }) => tag)])].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: SECURITY_SCHEMES,
      responses: Object.fromEntries(
        [...shared].map((code) => [code, errorResponse(code, ERRORS[code].when, components)]),
      ),
      // Last: everything that was described until here has added its own.
      schemas: components.schemas,
    },
  };
}

function operationOf(route: Route, components: SchemaComponents, shared: Set<ErrorCode>): Json {
  const { operationId, tag, about, body } = route;
  const access = accessOf(route);
  const description = [about?.description, access].filter((part) => part !== undefined).join('\n\n');
  const parameters = parametersOf(route, components);
  return {
    operationId,
    tags: [tag],
    summary: about?.summary ?? `${operationId} (not documented)`,
    ...(description !== '' && { description }),
    security: securityOf(route),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: bodyOf(body, components) }),
    responses: responsesOf(route, components, shared),
  };
}

/** Says in words who may call it. */
function accessOf({ isPublic, roles, scope }: Route): string | undefined {
  if (isPublic) return undefined;
  const who = roles ? `For the role ${roles.map((role) => `\`${role}\``).join(' or ')}` : 'For every account';
  return `${who}; ${scope === undefined ? 'no API key gets in' : `an API key needs the scope \`${scope}\``}.`;
}

/** Of schemes that are not OAuth, the lists name the roles or scopes that are needed. */
function securityOf({ isPublic, tokenInQuery, roles = [], scope }: Route): Json[] {
  if (isPublic) return [];
  return [
    { bearer: roles },
    ...(scope === undefined ? [] : [{ apiKey: [scope] }]),
    ...(tokenInQuery ? [{ queryToken: roles }, { queryTicket: roles }] : []),
  ];
}

function parametersOf({ path, query, about }: Route, components: SchemaComponents): Json[] {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => {
    const schema = about?.params?.[name];
    return parameterOf('path', name, schema ? components.of(schema) : { type: 'string' }, true);
  });
  const { properties = {}, required = [] } = query ? components.resolve(components.of(query, 'input')) : {};
  const inQuery = Object.entries(properties).map(([name, schema]) =>
    parameterOf('query', name, schema, required.includes(name)),
  );
  const inHeader = Object.entries(about?.headers ?? {}).map(([name, schema]) =>
    parameterOf('header', name, components.of(schema, 'input'), false),
  );
  // OpenAPI has a scheme for this header, and ignores a parameter of its name.
  return [...inPath, ...inQuery, ...inHeader.filter(({ name }) => name !== 'Authorization')];
}

function parameterOf(where: string, name: string, given: JsonSchema, required: boolean): Json {
  const { description, ...schema } = given;
  return { name, in: where, required, ...(description !== undefined && { description }), schema };
}

function bodyOf(schema: z.ZodType, components: SchemaComponents): Json {
  const json = components.of(schema, 'input');
  const required = !schema.safeParse(undefined).success;
  return { required, content: { [JSON_TYPE]: contentOf(json, components) } };
}

function contentOf(schema: JsonSchema, components: SchemaComponents): Json {
  const example = components.exampleOf(schema);
  return { schema, ...(example !== undefined && { example }) };
}

function responsesOf(route: Route, components: SchemaComponents, shared: Set<ErrorCode>): Json {
  const { about, status } = route;
  const own = about?.errors ?? {};
  const errors = CODES.filter((code) => code in own || ERRORS[code].follows(route)).map((code) => {
    const description = own[code];
    if (description !== undefined) return [HTTP_STATUS[code], errorResponse(code, description, components)];
    shared.add(code);
    return [HTTP_STATUS[code], { $ref: `#/components/responses/${code}` }];
  });
  return { [status]: successOf(about, components), ...(Object.fromEntries(errors) as Json) };
}

function successOf(about: Route['about'], components: SchemaComponents): Json {
  if (!about) return { description: 'Not documented.' };
  const { answer, mediaType } = about;
  if (!answer) return { description: 'Done.' };
  const schema = components.of(typeof answer === 'function' ? answer() : answer);
  if (mediaType !== undefined) return { description: 'The answer.', content: { [mediaType]: { schema } } };
  const envelope = { type: 'object', properties: { data: schema }, required: ['data'], additionalProperties: false };
  return { description: 'The answer.', content: { [JSON_TYPE]: contentOf(envelope, components) } };
}

function errorResponse(code: ErrorCode, description: string, components: SchemaComponents): Json {
  const retryAfter = {
    description: 'Seconds after which trying again makes sense.',
    schema: { type: 'integer', minimum: 1 },
  };
  return {
    description,
    ...(code === 'RATE_LIMITED' && { headers: { 'Retry-After': retryAfter } }),
    content: { [JSON_TYPE]: { schema: components.of(errorAnswer(code)) } },
  };
}
