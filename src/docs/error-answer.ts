import { z } from 'zod';
import type { ErrorCode } from '../common/app-error.js';
import { errorDetail } from '../common/fields.js';

const answers = new Map<ErrorCode, z.ZodObject>();

/** Returns the schema of the contract's answer with one code. */
export function errorAnswer(code: ErrorCode): z.ZodObject {
  let answer = answers.get(code);
  if (!answer) {
    const error = z.strictObject({
      code: z.literal(code),
      message: z.string().meta({ description: 'What is wrong and, where there is one, the cure.' }),
      details: z.array(errorDetail).optional(),
    });
    answer = z.strictObject({ error, requestId: z.string() }).meta({ id: `Error.${code}` });
    answers.set(code, answer);
  }
  return answer;
}
