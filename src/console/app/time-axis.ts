import { formatClock } from './format.js';

/** What an axis is of: bars are a minute each, lines go from moment to moment. */
type Kind = 'lines' | 'stack';

/** In seconds, as the chart counts. */
const MINUTE = 60;
const HOUR = 3600;
const OF_MINUTES = [1, 5, 10, 15, 30].map((count) => count * MINUTE);
const OF_HOURS = [1, 2, 4, 6, 12, 24].map((count) => count * HOUR);

/** How far apart labels may be, in seconds: never less than what a label tells apart. */
export const TIME_STEPS: Record<Kind, number[]> = {
  lines: [1, 5, 10, 15, 30, ...OF_MINUTES, ...OF_HOURS],
  stack: [...OF_MINUTES, ...OF_HOURS],
};

/** Says what part of time is drawn: lines get a minute at least, the last bar its own; null where there is nothing. */
export function timeRange(times: ArrayLike<number>, kind: Kind): [number | null, number | null] {
  const first = times[0];
  const last = times[times.length - 1];
  if (first === undefined || last === undefined) return [null, null];
  return [first, kind === 'stack' ? last + MINUTE : Math.max(last, first + MINUTE)];
}

/** Writes the time of day of epoch seconds, as short as the axis allows. */
export function timeOfDay(seconds: number, kind: Kind): string {
  const text = formatClock(seconds * 1000);
  return text.slice(0, kind === 'stack' ? 'hh:mm'.length : 'hh:mm:ss'.length);
}
