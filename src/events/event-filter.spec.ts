import { describe, expect, it } from 'vitest';
import { AppError } from '../common/app-error.js';
import { EVENT_TYPES } from './catalogue.js';
import { checkFilters, matchesFilter, typesOf } from './event-filter.js';

describe('filters', () => {
  it.each([
    ['login.failed', 'login.failed', true],
    ['login.failed', 'login.success', false],
    ['login.*', 'login.success', true],
    ['login.*', 'logout', false],
    ['log*', 'logout', false],
    ['*', 'logout', true],
    ['logout', 'logout', true],
    ['logout.*', 'logout', false],
    ['.*', 'login.failed', false],
  ])('%s lets %s through: %s', (filter, type, expected) => {
    expect(matchesFilter(filter, type)).toBe(expected);
  });

  it('accepts exact names, prefixes and the star, once each', () => {
    expect(checkFilters(['*', 'mfa.*', 'logout', 'mfa.*'])).toEqual(['*', 'mfa.*', 'logout']);
  });

  it.each(['', 'nope', 'nope.*', 'login', 'login.', 'Login.failed', '**', 'toString', '__proto__', 'logout.*'])(
    'refuses %j and lists the valid names',
    (name) => {
      expect(() => checkFilters(['logout', name])).toThrow(AppError);
      expect(() => checkFilters([name])).toThrow(EVENT_TYPES.join(', '));
    },
  );

  it('refuses more filters than there could be', () => {
    expect(() => checkFilters(Array.from({ length: 65 }, (_, n) => `x${n}`))).toThrow('At most 64');
  });

  it('expands to exact types', () => {
    expect(typesOf(['login.*', 'logout', 'login.failed'])).toEqual(['login.success', 'login.failed', 'logout']);
    expect(typesOf(['logout', '*'])).toBeUndefined();
  });
});
