import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { HeraldError } from '../../client/herald-client.js';
import { formatExact, formatRelative, shortId } from './format.js';
import { Icon, type IconName } from './icon.js';
import { tell, tellError } from './toasts.js';

/** The time, every few seconds: what says "5m ago" follows it. */
export const clock = signal(Date.now());
setInterval(() => (clock.value = Date.now()), 5000);

/** A time as a distance, and exactly when pointed at; a dash without one. */
export function When({ at }: { at: number | string | null }) {
  if (at === null) return <span class="muted">–</span>;
  const time = new Date(at).getTime();
  return (
    <time class="when" dateTime={new Date(time).toISOString()} title={formatExact(time)}>
      {formatRelative(time, Math.max(clock.value, time < Date.now() ? time : 0))}
    </time>
  );
}

/** An id that a click copies. */
export function Id({ id, full = false }: { id: string; full?: boolean }) {
  return (
    <button
      type="button"
      class="id"
      title={`Copy ${id}`}
      onClick={(event) => {
        event.stopPropagation();
        void copy(id);
      }}
    >
      <span class="id-text">{full ? id : shortId(id)}</span>
      <Icon name="copy" />
    </button>
  );
}

/** Puts a text into the clipboard. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    tell('Copied');
  } catch {
    tellError('The browser does not let this page copy: select the text instead');
  }
}

/** What a status means, as a colour. */
export type Tone = 'ok' | 'warn' | 'bad' | 'info' | 'plain';

const TONES: Readonly<Record<string, Tone>> = {
  completed: 'ok',
  delivered: 'ok',
  enabled: 'ok',
  done: 'ok',
  failed: 'warn',
  waiting: 'warn',
  failing: 'warn',
  locked: 'warn',
  processing: 'info',
  pending: 'info',
  admin: 'info',
  dead: 'bad',
  disabled: 'bad',
  banned: 'bad',
  failure: 'bad',
};

/** A status in a word. */
export function Badge({ status, tone = TONES[status] ?? 'plain' }: { status: string; tone?: Tone }) {
  return <span class={`badge badge-${tone}`}>{status}</span>;
}

/** The type of an event, with the part before the dot set back. */
export function EventType({ type }: { type: string }) {
  const dot = type.lastIndexOf('.') + 1;
  return (
    <span class="event-type">
      <span class="muted">{type.slice(0, dot)}</span>
      {type.slice(dot)}
    </span>
  );
}

/** The head of a page: its name, and what can be done there. */
export function PageHead({ title, children, back }: { title: string; children?: ComponentChildren; back?: string }) {
  return (
    <header class="page-head">
      {back !== undefined && (
        <a class="icon-button" href={back} aria-label="Back">
          <Icon name="back" />
        </a>
      )}
      <h1 tabIndex={-1}>{title}</h1>
      <div class="page-actions">{children}</div>
    </header>
  );
}

/** A part of a page, with its name. */
export function Card({ title, note, children }: { title: string; note?: string; children: ComponentChildren }) {
  return (
    <section class="card" aria-label={title}>
      <h2 class="card-title">
        {title} {note !== undefined && <span class="muted">{note}</span>}
      </h2>
      {children}
    </section>
  );
}

/** There is nothing, and why that is, or what to do. */
export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <p class="empty-title">{title}</p>
      {children && <div class="empty-text">{children}</div>}
    </div>
  );
}

/** It could not be read: why, what finds it in the log, and another try. */
export function Failure({ error, retry }: { error: HeraldError; retry: () => Promise<void> }) {
  return (
    <div class="empty" role="alert">
      <Icon name="alert" />
      <p class="empty-title">{error.message}</p>
      {error.requestId !== undefined && (
        <div class="empty-text">
          Request <Id id={error.requestId} full />
        </div>
      )}
      <button type="button" class="button" onClick={() => void retry()}>
        Try again
      </button>
    </div>
  );
}

/** Stands where rows will be. */
export function Skeleton({ rows = 6 }: { rows?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <span key={row} class="skeleton-row" />
      ))}
    </div>
  );
}

/** What was read, or what stands for it. */
export function Loaded<T>({
  of: { data, error, reload },
  children,
  rows,
}: {
  of: { data: T | undefined; error: HeraldError | undefined; reload: () => Promise<void> };
  children: (data: T) => ComponentChildren;
  rows?: number;
}) {
  if (data !== undefined) return <>{children(data)}</>;
  if (error) return <Failure error={error} retry={reload} />;
  return <Skeleton {...(rows !== undefined && { rows })} />;
}

/** Facts as pairs of a name and a value. */
export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Text that a machine made, and that can be scrolled with the keyboard. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <pre class="code" tabIndex={0} role="region" aria-label={label}>
      {text}
    </pre>
  );
}

/** What an event says in one line: whom it is about first, then its other values with their names. */
export function shownPayload({ email, ...rest }: Record<string, unknown>): string {
  const named = Object.entries(rest).map(([name, value]) => {
    return `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`;
  });
  return [...(typeof email === 'string' ? [email] : []), ...named].join(' · ');
}
