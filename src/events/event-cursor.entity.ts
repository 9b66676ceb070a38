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

  /** From where on what it has left behind is complete: where it began, or what housekeeping has left of it. */
  @Column(bigint)
  since: number;
}
