import type { ColumnOptions } from 'typeorm';

/** A column of epoch milliseconds, or any other whole number past 32 bits; a plain number in every database. */
export const bigint: ColumnOptions = {
  type: 'bigint',
  // PostgreSQL hands a bigint over as text. Everything stored here stays below 2^53.
  transformer: {
    to: (value: unknown) => value,
    from: (value: string | number | null) => (value === null ? null : Number(value)),
  },
};
