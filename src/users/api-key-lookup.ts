import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/principal.js';

/** Finds whom an API key stands for. */
export interface KeyFinder {
  /** By the key itself; counts as a use of it. @throws AppError RATE_LIMITED */
  byKey: (rawKey: string) => Promise<Principal | undefined>;
  /** By the key's id, to see whether it still holds. */
  byId: (id: string) => Promise<Principal | undefined>;
}

/** Where the room of API keys says how they are looked up, so that whoever guards a door need not know that room. */
@Injectable()
export class ApiKeyLookup {
  private finder: KeyFinder | undefined;

  use(finder: KeyFinder): void {
    this.finder = finder;
  }

  async byKey(rawKey: string): Promise<Principal | undefined> {
    return this.finder?.byKey(rawKey);
  }

  async byId(id: string): Promise<Principal | undefined> {
    return this.finder?.byId(id);
  }
}
