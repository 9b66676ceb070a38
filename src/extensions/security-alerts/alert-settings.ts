import { duration, flag, integer, z } from '../../extension-api.js';

const failures = () => integer(0, 1_000_000);

/** The variables of the security alerts. */
export const alertSettings = z.object({
  /** Failed logins of one account, or from one network address, that are a burst; 0 is never. @default 10 */
  SECURITY_ALERTS_FAILURES_PER_ADDRESS: failures().default(10).meta({ example: '10' }),
  /** Failed logins of all addresses together that are a burst; 0 is never. @default 100 */
  SECURITY_ALERTS_FAILURES_TOTAL: failures().default(100).meta({ example: '100' }),
  /** The time within which they count, in ms once it is parsed. @default 10m */
  SECURITY_ALERTS_WINDOW: duration().default(600_000).meta({ example: '10m' }),
  /** How long the same is not told again, in ms once it is parsed. @default 1h */
  SECURITY_ALERTS_COOLDOWN: duration().default(3_600_000).meta({ example: '1h' }),
  /** Whether every admin gets a mail. @default true */
  SECURITY_ALERTS_MAIL: flag().default(true).meta({ example: 'true' }),
});
