import { Injectable } from '@nestjs/common';
import { StartError } from '../common/start-error.js';

/** Says by throwing that the service cannot serve. */
export type ReadinessCheck = () => Promise<unknown>;

/** What must work for the service to be ready, beside the database; modules add their own. */
@Injectable()
export class ReadinessChecks {
  private readonly checks = new Map<string, ReadinessCheck>();

  /** Adds a check. It is given two seconds, and asked with every request to `/readiness`. */
  add(name: string, check: ReadinessCheck): void {
    if (this.checks.has(name))
      throw new StartError(`There is a readiness check "${name}" already: choose another name.`);
    this.checks.set(name, check);
  }

  /** All of them, by name. */
  get all(): ReadonlyMap<string, ReadinessCheck> {
    return this.checks;
  }
}
