import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';
import { checkAsyncApi, checkOpenApi } from '../docs/document-checks.js';

let server: TestServer;
const read = async (path: string) => (await fetch(`${server.url}${path}`)).text();

beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.close());

describe('the OpenAPI document', () => {
  it('passes the checks', async () => {
    expect(await checkOpenApi(await read('/docs'))).toEqual([]);
  });

  it('begins with what a newcomer tries first', async () => {
    const { tags } = JSON.parse(await read('/docs')) as { tags: { name: string }[] };
    expect(tags.slice(0, 3).map(({ name }) => name)).toEqual(['auth', 'users', 'events']);
    expect(new Set(tags.map(({ name }) => name)).size).toBe(tags.length);
  });

  it.each([
    [
      'of a body',
      '"example":{"email":"ada@example.com","password":"Correct-horse-1"}',
      '"example":{"email":"ada@example.com","password":""}',
      '/password must NOT have fewer than 1 characters',
    ],
    ['of an answer', '"example":{"data":{"message":', '"example":{"data":{"text":', 'must have required property'],
    ['of a parameter', '"examples":[10]', '"examples":[1000]', 'must be <= 200'],
  ])('does not pass with a wrong example %s', async (_where, right, wrong, problem) => {
    const text = await read('/docs');
    expect(text).toContain(right);
    expect((await checkOpenApi(text.replace(right, wrong))).join('\n')).toContain(problem);
  });

  it('does not pass when it is no OpenAPI', async () => {
    const text = (await read('/docs')).replace('"operationId":"Me.read"', '"operationId":"Me.change"');
    expect((await checkOpenApi(text)).join('\n')).toContain('operationId');
  });
});

describe('the AsyncAPI document', () => {
  it('passes the checks', async () => {
    expect(await checkAsyncApi(await read('/docs/asyncapi.json'))).toEqual([]);
  });

  it.each([
    ['of a message', '"payload":{"type":"ping"', '"payload":{"type":"pling"', '/type must be equal to constant'],
    ['of a header', '"headers":{"event":"stream.gap"', '"headers":{"event":"stream.end"', 'must be equal to constant'],
  ])('does not pass with a wrong example %s', async (_where, right, wrong, problem) => {
    const text = await read('/docs/asyncapi.json');
    expect(text).toContain(right);
    expect((await checkAsyncApi(text.replace(right, wrong))).join('\n')).toContain(problem);
  });

  it('does not pass when it is no AsyncAPI', async () => {
    const text = (await read('/docs/asyncapi.json')).replace('"action":"send"', '"action":"shout"');
    expect((await checkAsyncApi(text)).join('\n')).toContain('action');
  });
});
