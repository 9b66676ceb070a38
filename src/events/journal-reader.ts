import { AsyncResource } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { UnitOfWork } from '../database/unit-of-work.js';
import type { DomainEvent } from './domain-event.js';
import type { EventJournal } from './event-journal.service.js';

const PAGE = 500;
const RETRY_MS = 1000;
const SAVE_AFTER_MS = 1000;

/** Who reads the journal, and what is done with what is read. */
export interface JournalReaderOptions {
  /** The name its position is kept under. */
  name: string;
  /** Exact types to read; undefined for all. */
  types?: readonly string[] | undefined;
  /**
   * Handles events in `seq` order and calls `reader.advance` for what it is done with. When it throws, what it was not
   * done with comes again, a second later.
   */
  handle: (events: readonly DomainEvent[], reader: JournalReader) => Promise<void> | void;
}

/** Where a reader's position is kept. */
export interface ReaderCursor {
  read: () => Promise<{ seq: number; since: number } | undefined>;
  /** Writes the position of a reader that is new, unless it is there. */
  begin: (seq: number) => Promise<unknown>;
  writeSince: (seq: number) => Promise<unknown>;
  /**
   * Writes with the current unit of work.
   *
   * @param from - the position that it was last known to have.
   * @throws ReaderMovedError when another instance has moved it.
   */
  write: (seq: number, from: number) => Promise<unknown>;
}

/** Thrown at a reader whose position another instance has written: it is that one's now, and nothing is taken twice. */
export class ReaderMovedError extends Error {
  override readonly name = 'ReaderMovedError';
}

/**
 * Reads the journal strictly by `seq`, from where it stopped.
 *
 * A commit wakes it; it then reads until nothing is left. Its position is saved with what `handle` writes
 * ({@link savePosition}), or else at most once a second: after a crash the last second comes again rather than not at all.
 */
export class JournalReader {
  private readonly logger = new Logger(JournalReader.name);
  // A reader serves everybody: it must not inherit the context of the request whose commit happened to wake it.
  private readonly context = new AsyncResource('JournalReader');
  private state: 'idle' | 'running' | 'stopped' = 'idle';
  private done = 0;
  private saved = 0;
  private completeSince = 0;
  private awake = false;
  private again = false;
  private pass: Promise<void> = Promise.resolve();
  private retryTimer: NodeJS.Timeout | undefined;
  private saveTimer: NodeJS.Timeout | undefined;
  private saving: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: JournalReaderOptions,
    private readonly journal: EventJournal,
    private readonly cursor: ReaderCursor,
    private readonly unitOfWork: UnitOfWork,
  ) {
    journal.onAppended(() => this.wake());
  }

  /** The `seq` of the last event it is done with. */
  get position(): number {
    return this.done;
  }

  /** Whether it reads here, and not in another instance. */
  get isRunning(): boolean {
    return this.state === 'running';
  }

  /** The `seq` after which what it has left behind is complete. */
  get since(): number {
    return this.completeSince;
  }

  /** Says from where on it is complete. */
  async setSince(seq: number): Promise<void> {
    await this.cursor.writeSince(seq);
    this.completeSince = seq;
  }

  /** The name its position is kept under. */
  get name(): string {
    return this.options.name;
  }

  /** The exact types it reads; undefined for all. */
  get types(): readonly string[] | undefined {
    return this.options.types;
  }

  /** Finds where it stopped; a reader that is new to this database begins with the events that follow. */
  async load(): Promise<void> {
    const found = await this.cursor.read();
    const { seq, since } = found ?? (await this.begin());
    this.done = this.saved = seq;
    this.completeSince = since;
  }

  /** Looks where it is, while another instance reads. */
  async look(): Promise<void> {
    const found = await this.cursor.read();
    if (!found || this.isRunning) return;
    this.done = this.saved = found.seq;
    this.completeSince = found.since;
  }

  private async begin(): Promise<{ seq: number; since: number }> {
    const head = await this.journal.head();
    await this.cursor.begin(head);
    return (await this.cursor.read()) ?? { seq: head, since: head };
  }

  /** Starts reading; resolves once it has caught up with what it finds. */
  async start(): Promise<void> {
    if (this.state === 'stopped') return;
    this.state = 'running';
    this.wake();
    await this.pass;
  }

  /** Resolves once it is done with everything committed before the call, unless it is failing or reads elsewhere. */
  async caughtUp(): Promise<void> {
    if (!this.isRunning) return;
    try {
      await this.journal.catchUp();
    } catch (error) {
      // Whoever waits for it goes on without: a shutdown above all.
      this.logger.error({ msg: `reader "${this.options.name}" has not caught up`, err: error });
      return;
    }
    this.wake();
    await this.pass;
  }

  /** Goes on from where another instance has stopped. */
  async takeOver(): Promise<void> {
    await this.load();
    await this.journal.catchUp();
    await this.start();
  }

  /** Lets another instance go on. */
  async giveUp(): Promise<void> {
    if (this.isRunning) this.state = 'idle';
    await this.rest();
  }

  /** Stops reading for good, and saves the position. */
  async stop(): Promise<void> {
    const wasRunning = this.isRunning;
    this.state = 'stopped';
    await this.rest();
    // Without it a little comes again; a shutdown goes on.
    if (wasRunning) await this.trySave();
  }

  private async rest(): Promise<void> {
    clearTimeout(this.retryTimer);
    clearTimeout(this.saveTimer);
    this.saveTimer = undefined;
    await this.pass;
    await this.saving;
  }

  /** Says that everything up to `seq` is done with. */
  advance(seq: number): void {
    this.done = seq;
  }

  /** Writes the position with the current unit of work, so that it commits together with what else the unit writes. */
  async savePosition(seq: number): Promise<void> {
    await this.unitOfWork.run(async () => {
      await this.cursor.write(seq, this.saved);
      this.unitOfWork.afterCommit(() => (this.saved = seq));
    });
  }

  private wake(): void {
    if (this.state !== 'running') return;
    // A pass that is under way may be past the read that would have seen the new commit.
    this.again = true;
    if (this.awake) return;
    this.awake = true;
    this.pass = this.context.runInAsyncScope(() => this.readAll());
  }

  private async readAll(): Promise<void> {
    const { types, handle } = this.options;
    // What it writes of its own, and what it writes with the work, follow each other.
    await this.saving;
    try {
      while (this.again && this.state === 'running') {
        this.again = false;
        // Asked first, so that a reader of few types is done with everything else up to there as well.
        const throughSeq = types && (await this.journal.head());
        const events = await this.journal.read({ afterSeq: this.done, throughSeq, types, limit: PAGE });
        if (events.length > 0) await handle(events, this);
        if (events.length === PAGE) {
          this.again = true;
          // A long backlog must not keep requests waiting.
          await setImmediate();
        } else if (throughSeq !== undefined) {
          this.advance(throughSeq);
        }
      }
      this.scheduleSave();
    } catch (error) {
      if (error instanceof ReaderMovedError) await this.load().catch(() => undefined);
      const msg = `reader "${this.options.name}" could not go on; trying again in ${RETRY_MS} ms`;
      this.logger.error({ msg, err: error });
      clearTimeout(this.retryTimer);
      this.retryTimer = setTimeout(() => this.wake(), RETRY_MS);
    } finally {
      this.awake = false;
    }
  }

  private scheduleSave(): void {
    if (this.saveTimer || this.done === this.saved || this.state !== 'running') return;
    this.saveTimer = setTimeout(() => {
      this.saveTimer = undefined;
      // A pass that is under way asks for it again at its end.
      if (this.awake || !this.isRunning) return;
      this.saving = this.trySave();
    }, SAVE_AFTER_MS);
    this.saveTimer.unref();
  }

  private async trySave(): Promise<void> {
    try {
      if (this.done !== this.saved) await this.savePosition(this.done);
    } catch (error) {
      this.logger.error({ msg: 'the position was not saved', err: error });
    }
  }
}
