import { eventFilters, z } from '../../extension-api.js';

/** The variables of the Slack notifier. */
export const slackSettings = z.object({
  /** The address of a Slack incoming webhook. Whoever has it can post: it is a secret. */
  SLACK_WEBHOOK_URL: z
    .url({ protocol: /^https?$/, error: 'is not an http or https URL' })
    .meta({ example: 'https://hooks.slack.com/services/T0000/B0000/XXXX' }),
  /** The events that are posted: filters, comma separated. @default account.* */
  SLACK_EVENTS: eventFilters().default(['account.*']).meta({ example: 'account.*,user.registered' }),
});
