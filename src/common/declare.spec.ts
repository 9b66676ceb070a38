import { describe, expect, it } from 'vitest';
import { declareIn } from './declare.js';

describe('declareIn', () => {
  it('adds all of them or none, and the same ones again', () => {
    const [first, second] = [{}, {}];
    const registry = new Map([['a', first]]);
    expect(() => declareIn(registry, 'a thing', { b: second, a: second })).toThrow(
      'There is a thing "a" already: choose another name',
    );
    expect([...registry.keys()]).toEqual(['a']);
    declareIn(registry, 'a thing', { b: second, a: first });
    declareIn(registry, 'a thing', { b: second });
    expect([...registry]).toEqual([
      ['a', first],
      ['b', second],
    ]);
  });
});
