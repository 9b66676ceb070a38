import { Injectable } from '@nestjs/common';
import { UsersService } from '../users/users.service.js';

/** Answers "who is this?" about accounts, for the readers of events. */
@Injectable()
export class AccountLookup {
  constructor(private readonly users: UsersService) {}

  /** Returns the address of an account that exists, found by its id or its address. */
  async addressOf(who: { userId: string } | { email: string }): Promise<string | undefined> {
    const account = await this.users.find('userId' in who ? { id: who.userId } : who);
    return account?.email;
  }

  /**
   * Lets nobody else change or delete an account before the current unit of work has ended, for what must not outlive it.
   *
   * @returns false when there is none.
   */
  async hold(userId: string): Promise<boolean> {
    await this.users.hold(userId);
    return (await this.users.find({ id: userId })) !== undefined;
  }

  /** Returns the addresses of all admins who are not banned. */
  async adminAddresses(): Promise<string[]> {
    return (await this.users.admins()).map(({ email }) => email);
  }
}
