import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bigint } from '../database/columns.js';

/** An extension that was installed at some time; what it made stays when it is taken out. */
@Entity('extensions')
export class InstalledExtension {
  @PrimaryColumn({ type: 'text' })
  name: string;

  /** That of its last start. */
  @Column({ type: 'text' })
  version: string;

  @Column(bigint)
  installedAt: number;
}
