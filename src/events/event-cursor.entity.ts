import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/columns.js';

/** How far a reader of the journal has come. */
@Entity('event_cursors')
export class EventCursor {
  @PrimaryColumn({ type: 'text' })
  reader: string;

  /** The last `seq` the reader is done with. */
  @Column(bigint)
  seq: number;

  /** Where it began: the head of the journal when the reader was new. */
  @Column(bigint)
  since: number;
}
