import { randomBytes } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { LessThan } from 'typeorm';
import type { Principal } from '../common/principal.js';
import { sha256 } from '../common/sha256.js';
import { Housekeeping } from '../database/housekeeping.service.js';
import { UnitOfWork } from '../database/unit-of-work.js';
import { StreamTicket } from './stream-ticket.entity.js';

const LIFETIME_MS = 30_000;
const TICKET_BYTES = 32;

/** Who a ticket stands for, to be looked up again: its session or key may have ended since. */
export type TicketHolder = Pick<StreamTicket, 'sessionId' | 'isKey' | 'principalExpiresAt'>;

/** Issues tickets for streams: 256 bits, 30 seconds, one use. A URL that holds a used one tells nothing. */
@Injectable()
export class StreamTickets implements OnModuleInit {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    this.housekeeping.register('stream tickets', () =>
      this.unitOfWork.run((tx) => tx.delete(StreamTicket, { expiresAt: LessThan(Date.now()) })),
    );
  }

  /** Issues a ticket to whoever is asking. */
  async issue(principal: Principal): Promise<{ ticket: string; expiresAt: number }> {
    const ticket = randomBytes(TICKET_BYTES).toString('base64url');
    const expiresAt = Date.now() + LIFETIME_MS;
    const { sessionId, scopes, expiresAt: principalExpiresAt } = principal;
    const row = { hash: sha256(ticket), sessionId, isKey: scopes !== undefined, principalExpiresAt, expiresAt };
    await this.unitOfWork.run((tx) => tx.insert(StreamTicket, row));
    return { ticket, expiresAt };
  }

  /** Uses a ticket up; undefined when it is unknown, used or too old. */
  async redeem(ticket: string): Promise<TicketHolder | undefined> {
    return this.unitOfWork.run(async (tx) => {
      const hash = sha256(ticket);
      const found = await tx.findOneBy(StreamTicket, { hash });
      if (!found) return undefined;
      // Of two that bring it at once, one removes it.
      const { affected } = await tx.delete(StreamTicket, { hash });
      return affected === 1 && found.expiresAt > Date.now() ? found : undefined;
    });
  }
}
