import { computed, effect, signal } from '@preact/signals';
import type { HeraldError } from '../../client/herald-client.js';
import type { Overview } from './api-types.js';
import { between, quantile } from './latency.js';
import { liveCount } from './live.js';
import { toHeraldError } from './resource.js';
import { api } from './session.js';

const EVERY_MS = 5000;
/** Ten minutes. */
const KEPT = 120;

/** What changed from one look to the next. */
export interface Sample {
  at: number;
  p50: number | null;
  p99: number | null;
  websocket: number;
  sse: number;
}

/** How the service did when it was last asked. */
export const overview = signal<Overview | undefined>(undefined);
/** Why it could not be asked the last time. */
export const overviewError = signal<HeraldError | undefined>(undefined);
/** One for each look, the oldest first. */
export const samples = signal<readonly Sample[]>([]);

/** How much needs attention, by the page that has the cure. */
export const troubles = computed<Record<string, number>>(() => {
  const { jobs, endpoints, locks } = overview.value ?? {};
  return { '/jobs': jobs?.dead ?? 0, '/webhooks': endpoints?.inTrouble.length ?? 0, '/users': locks?.count ?? 0 };
});

/** Looks now, every few seconds while the page is visible, and after the connection was lost. @returns what ends it. */
export function watchOverview(): () => void {
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') void lookAgain();
  }, EVERY_MS);
  const stop = effect(() => {
    if (liveCount.value >= 0) void lookAgain();
  });
  return () => {
    stop();
    clearInterval(timer);
  };
}

/** Looks now. */
export async function lookAgain(): Promise<void> {
  const before = overview.peek();
  try {
    const now = await api.get<Overview>('/admin/overview');
    overview.value = now;
    overviewError.value = undefined;
    samples.value = [...samples.peek().slice(1 - KEPT), sampleOf(before, now)];
  } catch (error) {
    overviewError.value = toHeraldError(error);
  }
}

function sampleOf(before: Overview | undefined, { now, latency, connections }: Overview): Sample {
  const interval = before ? between(before.latency, latency) : latency;
  return { at: now, p50: quantile(interval, 0.5), p99: quantile(interval, 0.99), ...connections };
}
