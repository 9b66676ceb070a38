import {
  context,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
  type SpanKind,
  type Tracer,
} from '@opentelemetry/api';

/** How many events are remembered with the span that published them. */
const MAX_CAUSES = 10_000;

/** What is known of a span before its work begins; never a token, an address or a URL with its query. */
export interface SpanPlan {
  kind?: SpanKind;
  attributes?: Attributes;
  /** Begins a trace, or goes on with the one of an event; without it, a span is made only where one is active. */
  root?: { eventId: string | null };
}

let tracer: Tracer | undefined;
const causes = new Map<string, SpanContext>();

/** Turns tracing on; before, and without, spans cost nothing. */
export function setTracer(one: Tracer): void {
  tracer = one;
}

/** The tracer, if tracing is on. */
export function currentTracer(): Tracer | undefined {
  return tracer;
}

/**
 * Runs `work` as a span, active for everything it starts. What it throws fails the span by its name alone: a message may
 * hold what belongs in no trace, and the log has it.
 *
 * @param work - is given the span; undefined where none is made.
 */
export async function inSpan<T>(
  name: string,
  { kind, attributes = {}, root }: SpanPlan,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  if (!tracer || (!root && !trace.getActiveSpan())) return work(undefined);
  const options = { attributes, ...(kind !== undefined && { kind }) };
  return tracer.startActiveSpan(name, options, parentOf(root), async (span) => {
    try {
      return await work(span);
    } catch (error) {
      fail(span, error instanceof Error ? error.name : typeof error);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Marks a span as failed. @param type - the kind of failure, of few. */
export function fail(span: Span | undefined, type: string): void {
  span?.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR });
}

/** Remembers the active span as what published an event, so that its jobs continue the same trace. */
export function rememberCause(eventId: string): void {
  const span = tracer && trace.getActiveSpan();
  if (!span) return;
  causes.set(eventId, span.spanContext());
  const [oldest = ''] = causes.keys();
  if (causes.size > MAX_CAUSES) causes.delete(oldest);
}

function parentOf(root: SpanPlan['root']): Context {
  if (!root) return context.active();
  const active = trace.deleteSpan(context.active());
  const cause = causes.get(root.eventId ?? '');
  return cause ? trace.setSpanContext(active, cause) : active;
}
