import { describe, expect, it } from 'vitest';
import { AppError } from '../common/app-error.js';
import { checkPassword } from './password-policy.js';

const ALL = { lower: true, upper: true, digit: true, words: ['acme'] };

const codesOf = (password: string, requirements = ALL): (string | undefined)[] => {
  try {
    checkPassword(password, 'Some.One1@example.com', requirements);
    return [];
  } catch (error) {
    expect(error).toMatchObject({ code: 'BAD_REQUEST' });
    return ((error as AppError).details ?? []).map(({ code }) => code);
  }
};

describe('checkPassword', () => {
  it.each([
    ['Correct-horse-1', []],
    ['Sh0rt', ['PASSWORD_TOO_SHORT']],
    [`Aa1${'x'.repeat(126)}`, ['PASSWORD_TOO_LONG']],
    ['UPPERCASE1', ['PASSWORD_NO_LOWER']],
    ['lowercase1', ['PASSWORD_NO_UPPER']],
    ['NoDigitsHere', ['PASSWORD_NO_DIGIT']],
    ['some.one1@EXAMPLE.com', ['PASSWORD_IS_EMAIL']],
    ['', ['PASSWORD_TOO_SHORT', 'PASSWORD_NO_LOWER', 'PASSWORD_NO_UPPER', 'PASSWORD_NO_DIGIT']],
    ['Ünïcödé-1', []],
    ['Password1', ['PASSWORD_COMMON']],
    ['My-ACME-acc0unt', ['PASSWORD_WORD']],
    ['QWERTY123', ['PASSWORD_NO_LOWER', 'PASSWORD_COMMON']],
  ])('%s breaks %j', (password, codes) => {
    expect(codesOf(password)).toEqual(codes);
  });

  it('asks for no more than its switches say', () => {
    const none = { lower: false, upper: false, digit: false, words: [] };
    expect(codesOf('--------', none)).toEqual([]);
    expect(codesOf('--------', { ...none, digit: true })).toEqual(['PASSWORD_NO_DIGIT']);
    expect(codesOf('sh~rt', none)).toEqual(['PASSWORD_TOO_SHORT']);
  });
});
