import { Injectable } from '@nestjs/common';

/** What a code can be. */
export type Factor = 'totp' | 'recovery code';

/** Checks a code against an account's second factor, and uses it up with the caller's unit of work; undefined when it is wrong. */
export type CodeVerifier = (userId: string, code: string) => Promise<Factor | undefined>;

/** Where the room of second factors says how a code is checked, so that a login need not know that room. */
@Injectable()
export class SecondFactor {
  private verifier: CodeVerifier = () => Promise.resolve(undefined);

  use(verifier: CodeVerifier): void {
    this.verifier = verifier;
  }

  verify(userId: string, code: string): Promise<Factor | undefined> {
    return this.verifier(userId, code);
  }
}
