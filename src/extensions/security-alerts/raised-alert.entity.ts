import { bigint, Column, Entity, PrimaryColumn } from '../../extension-api.js';

/** When something was last told, so that it is not told again too soon. */
@Entity('security_raised_alerts')
export class RaisedAlert {
  /** What it was about. */
  @PrimaryColumn({ type: 'text' })
  key: string;

  @Column(bigint)
  raisedAt: number;
}
