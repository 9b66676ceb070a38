import { describe, expect, it } from 'vitest';
import { AppError } from '../common/app-error.js';
import { checkPassword } from './password-policy.js';

const codesOf = (password: string): (string | undefined)[] => {
  try {
    checkPassword(password, 'Some.One1@example.com');
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
  ])('%s breaks %j', (password, codes) => {
    expect(codesOf(password)).toEqual(codes);
  });
});
