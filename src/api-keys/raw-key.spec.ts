import { describe, expect, it } from 'vitest';
import { isRawKey, newRawKey } from './raw-key.js';

describe('raw keys', () => {
  it('have the format of the contract, and are all different', () => {
    const keys = Array.from({ length: 200 }, newRawKey);
    for (const key of keys) {
      expect(key).toMatch(/^oapi_[0-9A-Za-z]{36}$/);
      expect(isRawKey(key)).toBe(true);
    }
    expect(new Set(keys).size).toBe(200);
  });

  it('are told apart from mistyped ones', () => {
    const key = newRawKey();
    const other = key[10] === 'a' ? 'b' : 'a';
    for (const wrong of [
      `${key}x`,
      key.slice(0, -1),
      key.slice(0, 10) + other + key.slice(11),
      '',
      'oapi_',
      `x${key}`,
    ]) {
      expect(isRawKey(wrong)).toBe(false);
    }
  });
});
