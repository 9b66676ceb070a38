const EVENT_ID = /^evt-([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Returns the time inside an event id in epoch milliseconds, undefined for what is not an event id (RFC 9562 §5.7). */
export function parseEventId(id: string): number | undefined {
  const [, high, low] = EVENT_ID.exec(id) ?? [];
  return high === undefined || low === undefined ? undefined : Number.parseInt(high + low, 16);
}
