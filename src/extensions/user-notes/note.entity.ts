import { bigint, Column, Entity, Index, PrimaryColumn } from '../../extension-api.js';

/** A note that somebody has written for themselves. */
@Entity('user_notes')
@Index('IDX_user_notes_ownerId_id', ['ownerId', 'id'])
export class Note {
  /** Time-ordered: the order of creation, and the cursor of the list. */
  @PrimaryColumn({ type: 'text' })
  id: string;

  @Column({ type: 'text' })
  ownerId: string;

  @Column({ type: 'text' })
  text: string;

  @Column(bigint)
  createdAt: number;

  @Column(bigint)
  updatedAt: number;
}
