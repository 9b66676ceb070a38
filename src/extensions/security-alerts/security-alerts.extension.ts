import { defineExtension, Module } from '../../extension-api.js';
import { alertEvents } from './alert.events.js';
import { alertMail } from './alert-mail.js';
import { FailedLogin } from './failed-login.entity.js';
import { RaisedAlert } from './raised-alert.entity.js';
import { SecurityAlerts1796000000001 } from './security-alerts.migration.js';
import { SecurityAlerts } from './security-alerts.service.js';

@Module({ providers: [SecurityAlerts] })
class SecurityAlertsModule {}

/** Tells admins of bursts of failed logins and of admins who were locked out: as an event, and by mail. */
export default defineExtension({
  name: 'security-alerts',
  version: '1.0.0',
  requires: '^0.1.0',
  events: alertEvents,
  mails: { 'security-alert': alertMail },
  entities: [FailedLogin, RaisedAlert],
  migrations: [SecurityAlerts1796000000001],
  module: SecurityAlertsModule,
});
