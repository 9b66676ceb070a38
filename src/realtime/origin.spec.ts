import { describe, expect, it } from 'vitest';
import { isAllowedOrigin } from './origin.js';

describe('isAllowedOrigin', () => {
  it.each([
    [undefined, [], true],
    ['https://herald.example', [], true],
    ['https://evil.example', [], false],
    ['null', [], false],
    ['https://app.example', ['https://app.example'], true],
    ['https://app.example.evil', ['https://app.example'], false],
    ['https://evil.example', ['*'], true],
  ])('%s with %j: %s', (origin, allowed, expected) => {
    expect(isAllowedOrigin({ host: 'herald.example', ...(origin !== undefined && { origin }) }, allowed)).toBe(
      expected,
    );
  });
});
