const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
];

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'narrow' });
const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const numbers = new Intl.NumberFormat('en');

/** Says how long ago, or in how long, a time is: "5m ago". Both in epoch ms. */
export function formatRelative(time: number, now: number): string {
  const distance = time - now;
  const [unit, size] = UNITS.find(([, ms]) => Math.abs(distance) >= ms) ?? ['second', 1000];
  return relative.format(Math.trunc(distance / size), unit);
}

/** Writes a time with its date, in the reader's time zone. */
export function formatExact(time: number): string {
  return exact.format(time);
}

/** Writes the time of day with milliseconds, in the reader's time zone. */
export function formatClock(time: number): string {
  const at = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  const ms = String(at.getMilliseconds()).padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`;
}

/** Writes a number with its thousands. */
export function formatNumber(value: number): string {
  return numbers.format(value);
}

/** Writes a duration: "3 ms", "1.5 s", "4 m 5 s", "2 h 3 m", "5 d 6 h". */
export function formatDuration(ms: number): string {
  if (ms < 1) return `${ms <= 0 ? 0 : Number(ms.toFixed(1))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  const [minutes, hours, days] = [seconds / 60, seconds / 3600, seconds / 86_400].map(Math.floor) as [
    number,
    number,
    number,
  ];
  if (hours < 1) return `${minutes} m ${Math.floor(seconds % 60)} s`;
  return days < 1 ? `${hours} h ${minutes % 60} m` : `${days} d ${hours % 24} h`;
}

/** Writes a number of bytes. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1_048_576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1_048_576).toFixed(1)} MB`;
}

/** Shortens an id to what tells it from its neighbours: its end, since ids of one time begin alike. */
export function shortId(id: string): string {
  return id.length <= 12 ? id : `…${id.slice(-8)}`;
}

/** Writes JSON with an indent, or the text itself where it is none. */
export function formatJson(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value, undefined, 2);
  try {
    return JSON.stringify(JSON.parse(value), undefined, 2);
  } catch {
    return value;
  }
}
