import { AppError, type ErrorDetail } from '../common/app-error.js';

const MIN_LENGTH = 8;
const MAX_LENGTH = 128;

/** Counts code points, so that a letter outside the basic plane is one character. */
const lengthOf = (password: string) => Array.from(password).length;

const RULES: readonly (ErrorDetail & { broken: (password: string, email: string) => boolean })[] = [
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
    code: 'PASSWORD_NO_LOWER',
    message: 'The password needs a lower-case letter',
    broken: (password) => !/\p{Ll}/u.test(password),
  },
  {
    code: 'PASSWORD_NO_UPPER',
    message: 'The password needs an upper-case letter',
    broken: (password) => !/\p{Lu}/u.test(password),
  },
  {
    code: 'PASSWORD_NO_DIGIT',
    message: 'The password needs a digit',
    broken: (password) => !/\d/.test(password),
  },
  {
    code: 'PASSWORD_IS_EMAIL',
    message: 'The password must not be the email address',
    broken: (password, email) => password.toLowerCase() === email.toLowerCase(),
  },
];

/**
 * Checks a new password against the policy.
 *
 * @throws AppError BAD_REQUEST that lists every rule the password breaks.
 */
export function checkPassword(password: string, email: string): void {
  const details = RULES.filter(({ broken }) => broken(password, email)).map(({ code, message }): ErrorDetail => ({
    field: 'password',
    ...(code && { code }),
    message,
  }));
  if (details.length > 0) throw new AppError('BAD_REQUEST', 'The password does not meet the policy', details);
}
