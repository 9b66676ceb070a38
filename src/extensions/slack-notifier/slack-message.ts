import type { EventEnvelope } from '../../extension-api.js';

/** Slack refuses a section that is longer than 3000 characters. */
const MAX_SECTION = 3000;
/** The most that is shown of one value. */
const MAX_VALUE = 500;

/** The body of a post to an incoming webhook (Slack API, Block Kit). */
export interface SlackMessage {
  /** What notifications and screen readers show. */
  text: string;
  blocks: readonly object[];
}

/** Says in Slack's format what an event says. */
export function toSlackMessage({ id, type, timestamp, payload }: EventEnvelope): SlackMessage {
  const facts = Object.entries(payload)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${escapeSlack(name)}: ${escapeSlack(show(value))}`);
  return {
    text: [type, ...facts].join(', ').slice(0, MAX_SECTION),
    blocks: [
      { type: 'section', text: mrkdwn(fit([`*${type}*`, ...facts])) },
      { type: 'context', elements: [mrkdwn(`${timestamp} · ${id}`)] },
    ],
  };
}

/** Escapes the three characters that mean something to Slack, so that no payload can mention a channel or make a link. */
export function escapeSlack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

/** Joins as many lines as a section holds. */
function fit(lines: readonly string[]): string {
  let text = '';
  for (const line of lines) {
    if (text.length + line.length + 2 > MAX_SECTION) return `${text}\n…`;
    text += text === '' ? line : `\n${line}`;
  }
  return text;
}

/** `verbatim`: Slack must not turn what looks like a name or an address into a link. */
function mrkdwn(text: string): object {
  return { type: 'mrkdwn', text, verbatim: true };
}
