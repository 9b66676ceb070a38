import { describe, expect, it } from 'vitest';
import { endingOfAnswer, endingOfClose, endingOfFailure, endingOfStream, jitter } from './endings.js';
import { HeraldError } from './http.js';

const BUSY_MS = 15_000;
const error = expect.any(HeraldError);

describe('what an ending means', () => {
  it.each([
    [1000, { next: 'retry', reason: 'network', error }],
    [1001, { next: 'retry', reason: 'shutdown', error }],
    [1006, { next: 'retry', reason: 'network', error }],
    [1008, { next: 'stop', reason: 'policy', error }],
    [1009, { next: 'stop', reason: 'policy', error }],
    [1013, { next: 'retry', reason: 'busy', pauseMs: BUSY_MS, error }],
    [4401, { next: 'renew', error }],
    [4403, { next: 'stop', reason: 'revoked', error }],
    [4408, { next: 'retry', reason: 'silence', error }],
    [4429, { next: 'retry', reason: 'slow_consumer', error }],
  ])('by close code %i', (code, ending) => {
    expect(endingOfClose(code, '', BUSY_MS)).toEqual(ending);
  });

  it.each([
    ['token_expired', false, { next: 'renew' }],
    ['revoked', false, { next: 'stop', reason: 'revoked', error }],
    ['slow_consumer', true, { next: 'retry', reason: 'slow_consumer', error }],
    ['shutdown', true, { next: 'retry', reason: 'shutdown', error }],
    ['of a later version', true, { next: 'retry', reason: 'error', error }],
    ['of a later version', false, { next: 'stop', reason: 'policy', error }],
  ])('by stream.end "%s", reconnect %s', (reason, reconnect, ending) => {
    expect(endingOfStream({ reason, reconnect })).toEqual(ending);
  });

  it.each([
    [401, { next: 'renew' }],
    [403, { next: 'stop', reason: 'policy' }],
    [422, { next: 'stop', reason: 'policy' }],
    [404, { next: 'retry', reason: 'error' }],
    [500, { next: 'retry', reason: 'error' }],
    [429, { next: 'retry', reason: 'busy', pauseMs: 30_000 }],
    [503, { next: 'retry', reason: 'busy', pauseMs: 30_000 }],
    [0, { next: 'retry', reason: 'network' }],
  ])('by status %i of a stream', (status, ending) => {
    const answer = new HeraldError('X', 'x', status, [], undefined, status === 429 || status === 503 ? 30 : undefined);
    expect(endingOfAnswer(answer, BUSY_MS)).toEqual({ ...ending, error: answer });
  });

  it('by a cursor that the service does not know', () => {
    const details = [{ field: 'lastEventId', code: 'CURSOR_UNKNOWN', message: 'x' }];
    expect(endingOfAnswer(new HeraldError('VALIDATION', 'x', 422, details), BUSY_MS)).toEqual({ next: 'forget' });
  });

  it.each([
    [401, { next: 'stop', reason: 'unauthorized' }],
    [403, { next: 'stop', reason: 'unauthorized' }],
    [503, { next: 'retry', reason: 'busy', pauseMs: BUSY_MS }],
  ])('by status %i for a token', (status, ending) => {
    const answer = new HeraldError('X', 'x', status);
    expect(endingOfFailure(answer, BUSY_MS)).toEqual({ ...ending, error: answer });
  });
});

describe('jitter', () => {
  it('is anything up to a limit that doubles', () => {
    const backoff = { baseMs: 1000, maxMs: 30_000, busyMs: 0 };
    const most = [1, 2, 3, 4, 5, 6, 100].map((failures) => jitter(backoff, failures, () => 1));
    expect(most).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    expect(jitter(backoff, 9, () => 0)).toBe(0);
  });
});
