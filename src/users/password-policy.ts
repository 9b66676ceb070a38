import { dictionary } from '@zxcvbn-ts/language-common';
import { AppError, type ErrorDetail } from '../common/app-error.js';

const MIN_LENGTH = 8;
const MAX_LENGTH = 128;

/** Counts code points, so that a letter outside the basic plane is one character. */
const lengthOf = (password: string) => Array.from(password).length;

/** Passwords that everybody tries first, in lower case. */
const COMMON = new Set(dictionary['passwords-common'].map((password) => password.toLowerCase()));

/** What a password needs, and what it must not have. */
export interface PasswordRequirements {
  lower: boolean;
  upper: boolean;
  digit: boolean;
  /** Words that it must not contain, in lower case. */
  words: readonly string[];
}

const RULES: readonly (ErrorDetail & {
  requirement?: 'lower' | 'upper' | 'digit';
  broken: (password: string, email: string, words: readonly string[]) => boolean;
})[] = [
  {
    code: 'PASSWORD_TOO_SHORT',
    message: `The password needs at least ${MIN_LENGTH} characters`,
    broken: (password) => lengthOf(password) < MIN_LENGTH,
  },
  {
    code: 'PASSWORD_TOO_LONG',
    message: `The password may have at most ${MAX_LENGTH} characters`,
    broken: (password) => lengthOf(password) > MAX_LENGTH,
  },
  {
    requirement: 'lower',
    code: 'PASSWORD_NO_LOWER',
    message: 'The password needs a lower-case letter',
    broken: (password) => !/\p{Ll}/u.test(password),
  },
  {
    requirement: 'upper',
    code: 'PASSWORD_NO_UPPER',
    message: 'The password needs an upper-case letter',
    broken: (password) => !/\p{Lu}/u.test(password),
  },
  {
    requirement: 'digit',
    code: 'PASSWORD_NO_DIGIT',
    message: 'The password needs a digit',
    broken: (password) => !/\d/.test(password),
  },
  {
    code: 'PASSWORD_COMMON',
    message: 'The password is one that everybody tries first',
    broken: (password) => COMMON.has(password.toLowerCase()),
  },
  {
    code: 'PASSWORD_IS_EMAIL',
    message: 'The password must not be the email address',
    broken: (password, email) => password.toLowerCase() === email.toLowerCase(),
  },
  {
    code: 'PASSWORD_WORD',
    message: 'The password must not contain a name of this service',
    broken: (password, _email, words) => words.some((word) => password.toLowerCase().includes(word)),
  },
];

/**
 * Checks a new password against the policy.
 *
 * @throws AppError BAD_REQUEST that lists every rule the password breaks.
 */
export function checkPassword(password: string, email: string, requirements: PasswordRequirements): void {
  const rules = RULES.filter(({ requirement }) => requirement === undefined || requirements[requirement]);
  const details = rules
    .filter(({ broken }) => broken(password, email, requirements.words))
    .map(({ code, message }): ErrorDetail => ({
      field: 'password',
      ...(code && { code }),
      message,
    }));
  if (details.length > 0) throw new AppError('BAD_REQUEST', 'The password does not meet the policy', details);
}
