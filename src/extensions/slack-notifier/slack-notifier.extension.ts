import { defineExtension, JobsModule, Module } from '../../extension-api.js';
import { MAX_PAUSE_MS, SlackNotifier } from './slack-notifier.service.js';

@Module({
  imports: [
    // Twenty attempts take about half a day.
    JobsModule.forFeature({
      'slack.post': { concurrency: 1, maxAttempts: 20, timeoutMs: MAX_PAUSE_MS + 60_000 },
    }),
  ],
  providers: [SlackNotifier],
})
class SlackNotifierModule {}

/** Posts the events that `SLACK_EVENTS` chooses to a Slack channel. */
export default defineExtension({
  name: 'slack-notifier',
  version: '1.0.0',
  requires: '^0.1.0',
  module: SlackNotifierModule,
});
