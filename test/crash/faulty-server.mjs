/**
 * The built server, which kills itself with SIGKILL the n-th time it comes by a named point, and publishes events as its
 * parent asks for them. Plain JavaScript, because it runs beside the build, not inside the test runner.
 */
import { createApp, startApp } from '../../dist/src/app.setup.js';
import { loadConfig } from '../../dist/src/config/config.js';
import { UnitOfWork } from '../../dist/src/database/unit-of-work.js';
import { EventBus } from '../../dist/src/events/event-bus.js';
import { JobExecution } from '../../dist/src/jobs/job-execution.js';
import { WebhookAttempts } from '../../dist/src/webhooks/webhook-attempts.service.js';

const { FAULT_POINT, FAULT_COUNT, ...environment } = process.env;
let left = Number(FAULT_COUNT);

function pass(point) {
  if (point !== FAULT_POINT) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

// Something is committed: an event, a page of deliveries, a claim, an outcome. What was to follow it has not begun.
const { tellCommitted } = UnitOfWork.prototype;
UnitOfWork.prototype.tellCommitted = function (...args) {
  pass('after commit');
  return tellCommitted.apply(this, args);
};
// The job is claimed, and that is committed; its handler has not begun.
const { start } = JobExecution.prototype;
JobExecution.prototype.start = function () {
  pass('after claim');
  return start.call(this);
};
const { write } = WebhookAttempts.prototype;
WebhookAttempts.prototype.write = function (...args) {
  // The answer is there; nothing of it is written.
  pass('before the outcome is written');
  // It is written; the job that it is the outcome of is not settled.
  this.unitOfWork.afterCommit(() => pass('after the outcome is written'));
  return write.apply(this, args);
};

const config = loadConfig(environment);
const app = await createApp(config);
const url = await startApp(app, config);
const bus = app.get(EventBus);
process.on('message', async ({ publish }) => {
  for (let n = 0; n < publish; n += 1) await bus.publish('login.failed', { email: 'crash@example.com' });
  process.send({ published: publish });
});
process.send({ url });
