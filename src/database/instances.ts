/** What instances tell each other without saying more: there is something new to look at. */
export type Signal = 'events' | 'jobs';

/** What announcements are about: ended sessions, and events that retention has removed. */
export type Topic = 'sessions' | 'retention';

/** What one instance at a time does. */
export interface Duty {
  /** Begins with it. */
  begin: () => Promise<unknown> | void;
  /** Ends with it: another instance is about to begin. */
  end: () => Promise<unknown> | void;
}

/**
 * The instances of this service that share a database: what they tell each other, and who of them does what only one may do.
 *
 * Nothing depends on a signal alone: each second everybody looks without one.
 */
export abstract class Instances {
  /** Tells the others that there is something new; of many calls at a time they hear once. */
  abstract signal(what: Signal): void;

  /** Calls `listener` when another instance has signalled, when signals may have been missed, and each second. */
  abstract onSignal(what: Signal, listener: () => void): void;

  /** Tells all instances something with the commit of the current unit of work; at most 7 KB of JSON. */
  abstract announce(topic: Topic, content: unknown): Promise<void>;

  /** Calls `listener`, the one of its topic, with what an instance has announced: another one, or this one. */
  abstract onAnnounced(topic: Topic, listener: (content: unknown) => void): void;

  /** Calls `listener` when something that was announced may have been missed. */
  abstract onMissed(listener: () => void): void;

  /**
   * Takes part in a duty: whichever instance comes first does it, and another one within seconds of its end.
   *
   * @returns once it is known whether it is this one, which then has begun.
   */
  abstract share(name: string, duty: Duty): Promise<void>;

  /** Gives the duties of this instance back. Who ends them does so before. */
  abstract leave(): Promise<void>;
}

/** The only instance: nobody to tell, and every duty its own. */
export class OnlyInstance extends Instances {
  signal(): void {
    // Nobody else hears it.
  }

  onSignal(): void {
    // Nobody else sends one.
  }

  announce(): Promise<void> {
    return Promise.resolve();
  }

  onAnnounced(): void {
    // Nobody else announces anything.
  }

  onMissed(): void {
    // There is nothing to miss.
  }

  async share(_name: string, { begin }: Duty): Promise<void> {
    await begin();
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }
}
