import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/columns.js';

/** What lets a client that cannot set headers open one stream, without a token in its URL. */
@Entity('stream_tickets')
export class StreamTicket {
  /** SHA-256 of the ticket, hex. */
  @PrimaryColumn({ type: 'text' })
  hash: string;

  /** The session it was taken in, or the API key. */
  @Column({ type: 'text' })
  sessionId: string;

  @Column({ type: 'boolean' })
  isKey: boolean;

  /** When the token or key ends that it was taken with, in epoch ms. */
  @Column(bigint)
  principalExpiresAt: number;

  @Index()
  @Column(bigint)
  expiresAt: number;
}
