import { QueryFailedError } from 'typeorm';
import { expect, it } from 'vitest';
import { isDatabaseAway } from './database-away.js';

const coded = (code: string) => Object.assign(new Error('no'), { code });

it('knows an error of a database that is away, also in the wrapping of TypeORM', () => {
  for (const code of ['ECONNREFUSED', 'ECONNRESET', '57P01', '57P03', '53300', '08006']) {
    expect(isDatabaseAway(coded(code)), code).toBe(true);
    expect(isDatabaseAway(new QueryFailedError('SELECT 1', [], coded(code))), code).toBe(true);
  }
  expect(isDatabaseAway(new Error('Connection terminated unexpectedly'))).toBe(true);
  expect(isDatabaseAway(new Error('timeout exceeded when trying to connect'))).toBe(true);
});

it('takes no mistake of a statement for it, nor a write through the connections that read', () => {
  for (const code of ['23505', '42601', '25006', '40P01', 'SQLITE_BUSY'])
    expect(isDatabaseAway(coded(code))).toBe(false);
  expect(isDatabaseAway(new TypeError('x is undefined'))).toBe(false);
  expect(isDatabaseAway('ECONNREFUSED')).toBe(false);
});
