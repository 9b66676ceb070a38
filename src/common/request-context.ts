import { AsyncVariable } from './async-variable.js';

/** Who asked and from where; travels with a request into its log lines and into every event it publishes. */
export interface RequestContext {
  requestId: string;
  ip: string | null;
  userAgent: string | null;
  /** Set by the guard once the caller is known. */
  actorId: string | null;
  sessionId: string | null;
}

const current = new AsyncVariable<RequestContext>();

/** Runs `work` and everything it starts under `context`. */
export function runInRequestContext<T>(context: RequestContext, work: () => T): T {
  return current.run(context, work);
}

/** Returns the context of the request being served, or undefined outside of one (start, timers, the relay). */
export function currentRequestContext(): RequestContext | undefined {
  return current.get();
}
