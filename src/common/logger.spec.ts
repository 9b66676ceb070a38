import { Writable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PinoLogger } from './logger.js';

describe('PinoLogger', () => {
  afterEach(() => vi.restoreAllMocks());

  it('logs no value that was bound to a statement that failed', () => {
    const lines: string[] = [];
    const sink = new Writable({ write: (chunk: Buffer, _, done) => (lines.push(chunk.toString()), done()) });
    const logger = new PinoLogger({ level: 'info', format: 'json' }, sink);
    const error = Object.assign(new Error('UNIQUE constraint failed: users.email'), {
      query: `INSERT INTO users ${'x'.repeat(5000)}`,
      parameters: ['ada@example.com', '$argon2id$hash'],
      driverError: { parameters: ['$argon2id$hash'] },
    });
    logger.error({ msg: 'request failed', err: error }, 'HttpErrorFilter');
    logger.error(error, 'HttpErrorFilter');
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).toContain('UNIQUE constraint failed');
      expect(line).not.toContain('argon2id');
      expect(line).not.toContain('ada@example.com');
      expect(line.length).toBeLessThan(4000);
    }
  });
});
