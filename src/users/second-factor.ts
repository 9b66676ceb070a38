import { Injectable } from '@nestjs/common';

/** Checks a code against an account's second factor, and uses it up with the caller's unit of work. */
export type CodeVerifier = (userId: string, code: string) => Promise<boolean>;

/** Where the room of second factors says how a code is checked, so that a login need not know that room. */
@Injectable()
export class SecondFactor {
  private verifier: CodeVerifier = () => Promise.resolve(false);

  use(verifier: CodeVerifier): void {
    this.verifier = verifier;
  }

  verify(userId: string, code: string): Promise<boolean> {
    return this.verifier(userId, code);
  }
}
