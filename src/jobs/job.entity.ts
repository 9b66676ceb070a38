import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/columns.js';
import type { FailedAttempt, JobState } from './job-types.js';

/** What makes a job claimable: it waits, and it is not under suspicion of killing the process. */
export const CLAIMABLE = `state IN ('pending', 'failed') AND crashes < 2`;
/** A job that ran in two crashes: it is claimed alone, so that a third one tells whether it was to blame. */
export const SUSPECT = `state IN ('pending', 'failed') AND crashes >= 2`;
/** Holds a unique key. */
export const LIVE = `state IN ('pending', 'failed', 'processing')`;

/** A job. Only the job store reads and writes the table. */
// Clustered by the id, which rises with time: one index less to keep.
@Entity('jobs', { withoutRowid: true })
@Index('jobs_claimable', ['type', 'groupKey', 'priority', 'runAt'], { where: CLAIMABLE })
@Index('jobs_suspect', ['crashes', 'runAt'], { where: SUSPECT })
@Index('jobs_unique', ['type', 'uniqueKey'], { where: `uniqueKey IS NOT NULL AND ${LIVE}`, unique: true })
@Index('jobs_by_state', ['state', 'id', 'type'])
@Index('jobs_by_event', ['eventId', 'type'], { where: `eventId IS NOT NULL` })
export class JobRow {
  /** UUIDv7. */
  @PrimaryColumn({ type: 'text' })
  id: string;

  @Column({ type: 'text' })
  type: string;

  @Column({ type: 'text' })
  groupKey: string;

  @Column({ type: 'text', nullable: true })
  uniqueKey: string | null;

  @Column({ type: 'text' })
  state: JobState;

  @Column({ type: 'integer' })
  priority: number;

  /** Earliest start of the next attempt, in epoch ms. */
  @Column(bigint)
  runAt: number;

  /** Attempts started. */
  @Column({ type: 'integer' })
  attempts: number;

  /** Of these, the ones that ended with the process. */
  @Column({ type: 'integer' })
  crashes: number;

  /** Names the claim while the job is processing: what ends the attempt must know it. */
  @Column({ type: 'text', nullable: true })
  lease: string | null;

  @Column({ type: 'simple-json' })
  payload: unknown;

  /** The event that is the reason for it, directly or through other jobs. */
  @Column({ type: 'text', nullable: true })
  eventId: string | null;

  /** The attempts that did not succeed, oldest first. */
  @Column({ type: 'simple-json', nullable: true })
  history: FailedAttempt[] | null;

  @Column(bigint)
  createdAt: number;

  @Column({ ...bigint, nullable: true })
  startedAt: number | null;

  @Column({ ...bigint, nullable: true })
  finishedAt: number | null;
}
