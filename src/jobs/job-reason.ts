import { AsyncVariable } from '../common/async-variable.js';

const reason = new AsyncVariable<string | null>();

/** Runs `work` under an event that is its reason; jobs submitted meanwhile have the same one. */
export function runForReason<T>(eventId: string | null, work: () => T): T {
  return reason.run(eventId, work);
}

/** Returns the id of the event that is the reason for what runs now, if a job that has one runs. */
export function currentReason(): string | null | undefined {
  return reason.get();
}
