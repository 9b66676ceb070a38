import { z } from 'zod';
import { parseDuration } from './duration.js';

/** What stands beside every variable: read by the error messages, `.env.example` and docs/configuration.md. */
interface VariableMeta {
  /** What the variable means, its unit included. */
  meaning: string;
  /** A value that would be accepted. */
  example: string;
}

/** Says what a variable means, and shows a value of it. */
export const meta = (meaning: string, example: string): VariableMeta & Record<string, unknown> => ({
  meaning,
  example,
});

/** A whole number, written in digits alone (`1e3`, `0x10` and blanks are refused). */
export const integer = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'is not a whole number')
    .transform(Number)
    .pipe(z.number().min(min, `is below ${min}`).max(max, `is above ${max}`));

/** Milliseconds from a duration with a unit: `500ms`, `30s`, `15m`, `12h`, `7d`. */
export const duration = () =>
  z.string().transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== undefined && ms > 0) return ms;
    context.addIssue({ code: 'custom', message: 'is not a duration (a number and one of ms, s, m, h, d)' });
    return z.NEVER;
  });

/** One of some words. */
export const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, { error: `is not one of ${values.join(', ')}` });

/** `true` or `false`. */
export const flag = () => oneOf('true', 'false').transform((text) => text === 'true');

/** Parts a text at its commas; blanks around the parts are dropped, and empty ones. */
export const list = (text: string) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
