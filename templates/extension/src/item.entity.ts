import { bigint, Column, Entity, PrimaryColumn } from 'herald/extension-api';

/** Something that somebody has added. */
@Entity('my_extension_items')
export class Item {
  @PrimaryColumn({ type: 'text' })
  id: string;

  @Column({ type: 'text' })
  ownerId: string;

  @Column({ type: 'text' })
  name: string;

  /** Epoch ms. */
  @Column(bigint)
  createdAt: number;
}
