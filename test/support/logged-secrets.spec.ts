import { describe, expect, it } from 'vitest';
import { SecretFinder } from './logged-secrets.js';

const JWT = `eyJhbGciOiJIUzI1NiJ9.${'a1'.repeat(20)}.${'Zx9-_'.repeat(8)}`;
const finder = new SecretFinder(['Correct-horse-1', 'with "quotes" and 1', 'a b/c=d+e12', JWT]);

describe('SecretFinder', () => {
  it.each([
    ['anywhere in a line', '{"msg":"login of ada with Correct-horse-1"}', '{"msg":"login of ada with <secret>"}'],
    ['escaped as in JSON', '{"msg":"with \\"quotes\\" and 1"}', '{"msg":"<secret>"}'],
    ['encoded as in a URL', '{"path":"/x/a%20b%2Fc%3Dd%2Be12"}', '{"path":"/x/<secret>"}'],
    ['a JWT by its signature, cut off', `x ${JWT.split('.')[2]?.slice(0, 30)}`, 'x <secret>'],
    ['a JWT that nobody recorded', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4eXoifQ.', '<secret>'],
    ['a code in a field of its own', '{"code":"123456"}', '{<secret>}'],
  ])('finds a secret %s, and masks it', (_, line, masked) => {
    expect(finder.search(`{"msg":"before"}\n${line}\n{"msg":"after"}`)).toEqual([{ line: masked }]);
  });

  it('looks for nothing that would be found by chance', () => {
    const id = '6f1c5a52-9d3c-4e0b-8b64-0a4d2f1f6a11';
    expect(new SecretFinder(['password', '123456', 'short-1', 'x'.repeat(40), id]).count).toBe(0);
    expect(finder.search(`{"msg":"password","id":"${id}","code":"EADDRINUSE"}`)).toEqual([]);
  });
});
