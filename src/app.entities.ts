import { ApiKey } from './api-keys/api-key.entity.js';
import { OneTimeToken } from './auth/one-time-token.entity.js';
import { RefreshToken } from './auth/refresh-token.entity.js';
import { StreamTicket } from './auth/stream-ticket.entity.js';
import { EventCursor } from './events/event-cursor.entity.js';
import { EventRow } from './events/event.entity.js';
import { InstalledExtension } from './extensions/installed-extension.entity.js';
import { JobRow } from './jobs/job.entity.js';
import { RecoveryCode, TotpFactor } from './mfa/totp-factor.entity.js';
import { Lockout } from './users/lockout.entity.js';
import { Session } from './users/session.entity.js';
import { FormerPassword } from './users/password-history.entity.js';
import { User } from './users/user.entity.js';
import { WebhookAttempt, WebhookDelivery } from './webhooks/webhook-delivery.entity.js';
import { WebhookEndpoint } from './webhooks/webhook-endpoint.entity.js';

/** Every table there is: for the app, and for the TypeORM command line. */
export const entities = [
  EventRow,
  EventCursor,
  JobRow,
  User,
  Session,
  RefreshToken,
  Lockout,
  OneTimeToken,
  StreamTicket,
  ApiKey,
  TotpFactor,
  RecoveryCode,
  FormerPassword,
  WebhookEndpoint,
  WebhookDelivery,
  WebhookAttempt,
  InstalledExtension,
];
