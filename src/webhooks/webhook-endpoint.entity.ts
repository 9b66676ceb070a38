import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/columns.js';

/** A URL that events are sent to. */
@Entity('webhook_endpoints')
export class WebhookEndpoint {
  @PrimaryColumn({ type: 'text' })
  id: string;

  @Column({ type: 'text' })
  url: string;

  /** Filters: exact types, `prefix.*`, `*`. */
  @Column({ type: 'simple-json' })
  events: string[];

  @Column({ type: 'text', nullable: true })
  description: string | null;

  /** Encrypted, as is the previous one. */
  @Column({ type: 'text' })
  secret: string;

  @Column({ type: 'text', nullable: true })
  previousSecret: string | null;

  /** Until when the previous secret signs as well. */
  @Column({ ...bigint, nullable: true })
  previousSecretUntil: number | null;

  /** Since when nothing is sent; null while it is enabled. */
  @Column({ ...bigint, nullable: true })
  disabledAt: number | null;

  @Column({ type: 'text', nullable: true })
  disabledReason: string | null;

  /** When the unbroken row of failures began; null after a success. */
  @Column({ ...bigint, nullable: true })
  failingSince: number | null;

  @Column(bigint)
  createdAt: number;

  @Column(bigint)
  updatedAt: number;
}
