import {
  Column,
  Entity,
  Index,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { bigint } from '../database/columns.js';
import { WebhookEndpoint } from './webhook-endpoint.entity.js';

/** The states of a delivery; `dead` waits for a person. */
export const DELIVERY_STATUSES = ['pending', 'delivered', 'dead'] as const;

/** One of the states of a delivery. */
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** One event on its way to one endpoint. It owns the schedule; each attempt is a job. */
@Entity('webhook_deliveries')
@Index(['endpointId', 'id'])
@Index(['status', 'endpointId', 'id'])
export class WebhookDelivery {
  /** UUIDv7: rises with time. */
  @PrimaryColumn({ type: 'text' })
  id: string;

  @ManyToOne(() => WebhookEndpoint, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'endpointId' })
  endpoint: Relation<WebhookEndpoint>;

  @Column({ type: 'text' })
  endpointId: string;

  @Index()
  @Column({ type: 'text' })
  eventId: string;

  @Column({ type: 'text' })
  eventType: string;

  /** The bytes of every attempt, which are signed; kept here, so that nothing hangs on the journal's retention. */
  @Column({ type: 'text' })
  body: string;

  @Column({ type: 'text' })
  status: DeliveryStatus;

  /** Attempts made; the next one is told by its number from one that came late. */
  @Column({ type: 'integer' })
  attempts: number;

  /** How much of the retry schedule is used up. */
  @Column({ type: 'integer' })
  step: number;

  /** Attempts in a row that failed because of this host; they use nothing up. */
  @Column({ type: 'integer' })
  hostFailures: number;

  /** False for a test, which is tried once. */
  @Column({ type: 'boolean' })
  retries: boolean;

  /** In epoch ms; null once it has ended. */
  @Column({ ...bigint, nullable: true })
  nextAttemptAt: number | null;

  @Column(bigint)
  createdAt: number;

  @Column({ ...bigint, nullable: true })
  finishedAt: number | null;
}

/** One request that was made, or could not be. */
@Entity('webhook_attempts')
@Index('webhook_attempts_by_time', ['at', 'status'])
export class WebhookAttempt {
  @PrimaryGeneratedColumn({ type: 'integer' })
  id: number;

  @ManyToOne(() => WebhookDelivery, { onDelete: 'CASCADE', nullable: false })
  @JoinColumn({ name: 'deliveryId' })
  delivery: Relation<WebhookDelivery>;

  @Index()
  @Column({ type: 'text' })
  deliveryId: string;

  @Column({ type: 'integer' })
  number: number;

  /** When it began, in epoch ms. */
  @Column(bigint)
  at: number;

  @Column({ type: 'integer' })
  durationMs: number;

  /** The HTTP status; null when no answer came. */
  @Column({ type: 'integer', nullable: true })
  status: number | null;

  /** The first 1 KB of the answer. */
  @Column({ type: 'text', nullable: true })
  response: string | null;

  @Column({ type: 'text', nullable: true })
  error: string | null;
}
