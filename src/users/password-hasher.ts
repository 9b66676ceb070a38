import { availableParallelism } from 'node:os';
import { Injectable } from '@nestjs/common';
import { hash, verify, type Options } from '@node-rs/argon2';

/** OWASP's first choice for argon2id, the library's default algorithm: 19 MiB, two passes, one lane (Password Storage Cheat Sheet). */
const OPTIONS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } satisfies Options;

/** How a hash that was made with them begins (PHC string format). */
const CURRENT = `$argon2id$v=19$m=${OPTIONS.memoryCost},t=${OPTIONS.timeCost},p=${OPTIONS.parallelism}$`;

/** What a password is compared with when there is no account, so that the answer takes the same time. */
const DUMMY = hash('no account has this password', OPTIONS);

/**
 * Hashes and verifies passwords with argon2id.
 *
 * At most one hash per core runs at a time and the rest wait in line, so a burst of logins cannot take the memory and
 * the thread pool of everything else.
 */
@Injectable()
export class PasswordHasher {
  private free = availableParallelism();
  private readonly waiting: (() => void)[] = [];

  /** Hashes a password into a PHC string. */
  hash(password: string): Promise<string> {
    return this.inLine(() => hash(password, OPTIONS));
  }

  /** Compares a password with a PHC string; undefined, for no account, takes as long and is never a match. */
  verify(passwordHash: string | undefined, password: string): Promise<boolean> {
    return this.inLine(async () => {
      const matches = await verify(passwordHash ?? (await DUMMY), password);
      return matches && passwordHash !== undefined;
    });
  }

  /** Hashes a password anew if its hash was made with other parameters than today's; undefined when it was not. */
  async rehash(passwordHash: string, password: string): Promise<string | undefined> {
    return passwordHash.startsWith(CURRENT) ? undefined : this.hash(password);
  }

  private async inLine<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      // A place is handed over directly; it is only free when nobody waits.
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}
