/**
 * The built server, which kills itself with SIGKILL the n-th time it comes by a named point, and publishes events as its
 * parent asks for them. Plain JavaScript, because it runs beside the build, not inside the test runner.
 */
import { createApp, startApp } from '../../dist/src/app.setup.js';
import { loadConfig } from '../../dist/src/config/config.js';
import { EventBus } from '../../dist/src/events/event-bus.js';
import { EventJournal } from '../../dist/src/events/event-journal.service.js';
import { JobExecution } from '../../dist/src/jobs/job-execution.js';
import { WebhookAttempts } from '../../dist/src/webhooks/webhook-attempts.service.js';

const { FAULT_POINT, FAULT_COUNT, ...environment } = process.env;
let left = Number(FAULT_COUNT);

function pass(point) {
  if (point !== FAULT_POINT) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

/** Comes by the point before a method of a class runs. */
function before(type, method, point) {
  const original = type.prototype[method];
  if (typeof original !== 'function') throw new Error(`${type.name} has no ${method}`);
  type.prototype[method] = function (...args) {
    pass(point);
    return original.apply(this, args);
  };
}

// The job is claimed, and that is committed; its handler has not begun.
before(JobExecution, 'start', 'after claim');
// The answer is there; nothing of it is written.
before(WebhookAttempts, 'write', 'before the outcome is written');

const config = loadConfig(environment);
const app = await createApp(config);
// The event is committed; no reader has been woken for it in a way that outlives this call.
app.get(EventJournal).onAppended(() => pass('after commit'));
const url = await startApp(app, config);
const bus = app.get(EventBus);
process.on('message', async ({ publish }) => {
  for (let n = 0; n < publish; n += 1) await bus.publish('login.failed', { email: 'crash@example.com' });
  process.send({ published: publish });
});
process.send({ url });
