import { inspect } from 'node:util';
import type { Logger } from '@nestjs/common';
import { SpanKind } from '@opentelemetry/api';
import { inSpan } from '../telemetry/spans.js';
import { backoffMs } from './backoff.js';
import type { RegisteredJobType } from './job-registry.service.js';
import { runForReason } from './job-reason.js';
import type { ClaimedJob, Outcome } from './job-records.js';
import type { JobStore } from './job-store.service.js';
import { JobLeaseLostError, RetryAfterError, UnrecoverableJobError, type JobContext } from './job-types.js';

const MAX_ERROR_LENGTH = 1000;

/** One attempt of one job, from its claim to its end, which comes exactly once. */
export class JobExecution {
  private readonly abort = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private started = false;
  private ended = false;
  /** Whether the handler has completed the job itself, in a unit of work that is committed. */
  private completed = false;

  constructor(
    readonly job: ClaimedJob,
    private readonly type: RegisteredJobType,
    private readonly store: JobStore,
    private readonly logger: Logger,
    /** Told once, with what is left to be written. */
    private readonly onEnd: (outcome: Outcome | undefined) => void,
  ) {}

  /** Runs the handler under the type's timeout. */
  start(): void {
    this.started = true;
    const { timeoutMs } = this.type.options;
    this.timer = setTimeout(() => {
      const timeout = new Error(`The attempt took longer than ${timeoutMs} ms`);
      this.fail(timeout);
      this.abort.abort(timeout);
    }, timeoutMs);
    void this.run();
  }

  /** Whether its turn has not come yet. */
  get isWaiting(): boolean {
    return !this.started && !this.ended;
  }

  /** Gives an attempt back that has not begun. */
  returnUnlessStarted(): void {
    if (!this.started) this.giveBack();
  }

  /** Gives the attempt up without counting it; the handler is told through its signal. */
  giveBack(): void {
    this.end('returned', { runAt: Date.now() });
    this.abort.abort(new Error('The process is shutting down'));
  }

  private async run(): Promise<void> {
    const { id, attempt, crashes, payload, eventId } = this.job;
    const context: JobContext = { id, attempt, crashes, signal: this.abort.signal, complete: () => this.complete() };
    try {
      const attributes = {
        'herald.job.type': this.job.type,
        'herald.job.id': id,
        'herald.job.attempt': attempt,
        ...(eventId !== null && { 'herald.event.id': eventId }),
      };
      await inSpan(`job ${this.job.type}`, { kind: SpanKind.CONSUMER, attributes, root: { eventId } }, async () =>
        runForReason(eventId, () => this.type.handle(payload, context)),
      );
      this.end('completed');
    } catch (error) {
      this.fail(error);
    }
  }

  private async complete(): Promise<void> {
    await this.store.complete(
      this.job,
      () => (this.completed = true),
      () => {
        throw new JobLeaseLostError(`Job ${this.job.id} is no longer this attempt's to complete`);
      },
    );
  }

  private fail(error: unknown): void {
    const { id, type, attempt, crashes } = this.job;
    const about = { jobId: id, jobType: type, attempt, err: error };
    if (this.ended) {
      // Given up already; what it ends in now changes nothing, but may explain something.
      this.logger.debug({ msg: `an attempt of "${type}" failed after it was given up`, ...about });
      return;
    }
    if (this.completed) {
      this.logger.error({ msg: `"${type}" failed after it had completed its job`, ...about });
      return this.end('completed');
    }
    const { maxAttempts, backoff } = this.type.options;
    const failures = attempt - crashes;
    const message = describe(error);
    if (error instanceof UnrecoverableJobError || failures >= maxAttempts) {
      this.logger.error({ msg: `a job of "${type}" is dead: ${message}`, ...about });
      this.end('dead', { error: message });
    } else {
      const askedMs = error instanceof RetryAfterError ? error.delayMs : 0;
      const delayMs = Math.max(askedMs, backoffMs(backoff, failures, Math.random));
      this.logger.warn({ msg: `attempt ${attempt} of "${type}" failed; again in ${delayMs} ms: ${message}`, ...about });
      this.end('failed', { error: message, runAt: Date.now() + delayMs });
    }
  }

  private end(end: Outcome['end'], rest: Pick<Outcome, 'runAt' | 'error'> = {}): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.timer);
    this.onEnd(this.completed ? undefined : { job: this.job, end, ...rest });
  }
}

function describe(error: unknown): string {
  try {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : inspect(error, { customInspect: false });
    return text.slice(0, MAX_ERROR_LENGTH);
  } catch {
    // Whatever a handler throws, its attempt ends.
    return 'An error that cannot be shown';
  }
}
