import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit';

type Answer = Parameters<FastifyRateLimitStore['incr']>[1];

/**
 * Returns a store for @fastify/rate-limit that counts elsewhere, such as in a database that instances share.
 *
 * @param count - counts one more request within a window, and says how many there are and when it ends, in ms.
 */
export function sharedRateLimits(
  count: (key: string, windowMs: number) => Promise<{ current: number; ttl: number }>,
): FastifyRateLimitStoreCtor {
  return class implements FastifyRateLimitStore {
    incr(key: string, answer: Answer, windowMs: number): void {
      count(key, windowMs).then(
        (counted) => answer(null, counted),
        (error: unknown) => answer(error as Error),
      );
    }

    child(): FastifyRateLimitStore {
      return this;
    }
  };
}
