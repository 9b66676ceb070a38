import { StandardSchemaValidationPipe } from '@nestjs/common';
import { AppError, type ErrorDetail } from './app-error.js';

interface Issue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

/** The most particulars one answer lists: a hostile body can be wrong in a hundred thousand places. */
const MAX_DETAILS = 20;

/** Turns the issues of a schema into the contract's `[{field, message}]`; `field` is `body` for the value as a whole. */
export function toErrorDetails(issues: readonly Issue[]): ErrorDetail[] {
  return issues.slice(0, MAX_DETAILS).map(({ path = [], message }) => ({
    field: path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.') || 'body',
    message,
  }));
}

/** Validates every route argument that carries a `schema`, answering 422 with the contract's details. */
export const validationPipe = new StandardSchemaValidationPipe({
  exceptionFactory: (issues) => new AppError('VALIDATION', 'The request is not valid', toErrorDetails(issues)),
});
