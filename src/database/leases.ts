import { Logger } from '@nestjs/common';
import type { Duty } from './instances.js';
import type { Ask } from './watched-connection.js';

/** How long a duty stays with an instance that says nothing any more. */
const LEASE_MS = 4000;
/** How long before that the instance itself takes it for another's: longer than an answer of the server may take. */
const MARGIN_MS = 1500;

/** Leases that are free, have run out, or are one's own. By the clock of the server, which all instances share. */
const RENEW = `
  INSERT INTO leases (name, owner, until)
  SELECT name, $2, clock_timestamp() + $3::int * interval '1 ms' FROM unnest($1::text[]) AS name ORDER BY name
  ON CONFLICT (name) DO UPDATE SET owner = EXCLUDED.owner, until = EXCLUDED.until
  WHERE leases.owner = EXCLUDED.owner OR leases.until < clock_timestamp()
  RETURNING name`;

/** What gives the leases of an owner back. */
export const GIVE_BACK = 'DELETE FROM leases WHERE owner = $1';

interface SharedDuty extends Duty {
  isMine: boolean;
  /** One step after the other: it never begins while it still ends. */
  step: Promise<unknown>;
}

/** Duties of which each is one instance's at a time: whose row it is in a table, for four seconds at most. */
export class Leases {
  private readonly logger = new Logger('Instances');
  private readonly duties = new Map<string, SharedDuty>();
  /** Ends what may be another instance's by then. */
  private timer: NodeJS.Timeout | undefined;

  /** @param owner - of the leases: this instance. */
  constructor(
    private readonly owner: string,
    private readonly ask: Ask,
  ) {}

  /** As {@link Instances.share}. */
  async share(name: string, duty: Duty): Promise<void> {
    this.duties.set(name, { ...duty, isMine: false, step: Promise.resolve() });
    await this.renew([name]).catch((error: unknown) => {
      this.logger.warn({ msg: `it is not known yet whose "${name}" is`, err: error });
    });
    await this.duties.get(name)?.step;
  }

  /** Takes the leases that are free, and keeps those that are this instance's. To be called each second. */
  async renew(names: readonly string[] = [...this.duties.keys()]): Promise<void> {
    const rows = await this.ask<{ name: string }>(RENEW, [names, this.owner, LEASE_MS]);
    // Whoever cannot say that a duty is its own must think that it is another's.
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.endAll(), LEASE_MS - MARGIN_MS);
    this.timer.unref();
    const mine = new Set(rows.map(({ name }) => name));
    for (const name of names) {
      const duty = this.duties.get(name);
      if (duty) this.turn(name, duty, mine.has(name));
    }
  }

  /** Lets them be, as they are. */
  stop(): void {
    clearTimeout(this.timer);
  }

  private endAll(): void {
    for (const [name, duty] of this.duties) this.turn(name, duty, false);
  }

  private turn(name: string, duty: SharedDuty, isMine: boolean): void {
    if (duty.isMine === isMine) return;
    duty.isMine = isMine;
    this.logger.log({ msg: isMine ? `"${name}" is this instance's now` : `"${name}" is not this instance's any more` });
    const step = duty.step
      .then(() => (isMine ? duty.begin() : duty.end()))
      .catch((error: unknown) => {
        this.logger.error({ msg: `"${name}" could not be taken over or given up`, err: error });
        // The lease is kept, so that nobody else would begin: the next beat tries it again.
        if (isMine && duty.step === step) duty.isMine = false;
      });
    duty.step = step;
  }
}
