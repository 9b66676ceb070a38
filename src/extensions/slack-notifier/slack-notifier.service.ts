import { setTimeout } from 'node:timers/promises';
import {
  DurableReaders,
  Injectable,
  JobHandler,
  JobQueue,
  readSettings,
  RetryAfterError,
  typesOf,
  UnrecoverableJobError,
  WebhookClient,
  type EventEnvelope,
  type JobContext,
  type JobTypes,
  type OnModuleInit,
} from '../../extension-api.js';
import { toSlackMessage } from './slack-message.js';
import { slackSettings } from './slack-settings.js';

declare module '../../extension-api.js' {
  interface ExtensionJobs {
    'slack.post': EventEnvelope;
  }
}

/** Slack takes one message a second from an incoming webhook (Slack API, Rate Limits). */
const INTERVAL_MS = 1000;
/** The longest that Slack's Retry-After keeps all messages waiting; one attempt lasts no longer than this and a request. */
export const MAX_PAUSE_MS = 600_000;
/** What Slack answers when the message or the webhook itself is wrong, so that trying again changes nothing. */
const FINAL = new Set([400, 403, 404, 410]);

/** Posts events to a Slack channel: each through a job of its own, one after the other. */
@Injectable()
export class SlackNotifier implements OnModuleInit {
  private readonly settings = readSettings(slackSettings);
  /** When the next message may go, in epoch ms. Jobs of the type run one at a time, so it belongs to one of them. */
  private nextAt = 0;

  constructor(
    private readonly readers: DurableReaders,
    private readonly queue: JobQueue,
    private readonly client: WebhookClient,
  ) {}

  /** The types are settings, which no decorator can know: otherwise `@DurableReader` would do. */
  async onModuleInit(): Promise<void> {
    await this.readers.add('slack-notifier', typesOf(this.settings.SLACK_EVENTS), (events) => async () => {
      const jobs = events.map(({ id, type, timestamp, payload }) => ({
        payload: { id, type, timestamp, payload } as EventEnvelope,
        options: { eventId: id },
      }));
      await this.queue.submitAll('slack.post', jobs);
    });
  }

  @JobHandler('slack.post')
  async post(event: JobTypes['slack.post'], { signal }: JobContext): Promise<void> {
    await setTimeout(Math.max(0, this.nextAt - Date.now()), undefined, { signal });
    const { outcome, status, response, error, retryAfterMs } = await this.client.send({
      url: this.settings.SLACK_WEBHOOK_URL,
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(toSlackMessage(event)),
      signal,
    });
    const pauseMs = Math.min(MAX_PAUSE_MS, retryAfterMs ?? 0);
    this.nextAt = Date.now() + Math.max(INTERVAL_MS, pauseMs);
    if (outcome === 'delivered') return;
    const reason = status === null ? `Slack was not reached: ${error}` : `Slack answered ${status}: ${response}`;
    if (status !== null && FINAL.has(status)) throw new UnrecoverableJobError(reason);
    throw new RetryAfterError(reason, pauseMs);
  }
}
