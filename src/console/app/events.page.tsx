import { useEffect, useMemo, useState } from 'preact/hooks';
import { useAddress } from './address.js';
import type { Event } from './api-types.js';
import { Feed } from './feed.js';
import { formatClock, formatExact, formatNumber } from './format.js';
import { Icon } from './icon.js';
import { Empty, EventType, Failure, PageHead, Skeleton, shownPayload } from './parts.js';
import { useResource } from './resource.js';
import { SearchField } from './search-field.js';
import { TracePanel } from './trace-panel.js';
import { VirtualList } from './virtual-list.js';

/** In px. */
const ROW_HEIGHT = 40;
/** Where a row has two lines. */
const NARROW_ROW_HEIGHT = 56;
const narrow = matchMedia('(max-width: 640px)');

/** What happens, as it happens. */
export function EventsPage() {
  const { query, set } = useAddress();
  const { type = '*', q = '', event } = query;
  const [feed, setFeed] = useState<Feed>();
  useEffect(() => {
    const fresh = new Feed(type);
    setFeed(fresh);
    return () => fresh.close();
  }, [type]);
  return (
    <div class="page-fill">
      <PageHead title="Events">{feed && <PauseButton feed={feed} />}</PageHead>
      <div class="filters">
        <TypeFilter value={type} onChange={(chosen) => set({ type: chosen === '*' ? undefined : chosen })} />
        <SearchField
          label="Search in what is shown"
          placeholder="Id, address or user"
          value={q}
          onChange={(text) => set({ q: text }, { replace: true })}
        />
      </div>
      {feed && <EventList feed={feed} text={q} openId={event} open={(id) => set({ event: id })} />}
      {event !== undefined && <TracePanel id={event} onClose={() => set({ event: undefined })} />}
    </div>
  );
}

function PauseButton({ feed }: { feed: Feed }) {
  const isPaused = feed.isPaused.value;
  const waiting = feed.waiting.value;
  return (
    <button type="button" class="button" aria-pressed={isPaused} onClick={() => feed.pause(!isPaused)}>
      <Icon name={isPaused ? 'play' : 'pause'} />
      {isPaused ? 'Go on' : 'Pause'}
      {waiting > 0 && <span class="nav-count">{formatNumber(waiting)} waiting</span>}
    </button>
  );
}

/** Every filter that the service knows: all, each group, each type. */
function TypeFilter({ value, onChange }: { value: string; onChange: (filter: string) => void }) {
  const { data } = useResource<{ types: { type: string; description: string }[] }>('/events/types');
  const groups = useMemo(() => groupsOf(data?.types.map(({ type }) => type) ?? []), [data]);
  const isKnown = value === '*' || groups.some(([name, types]) => value === `${name}.*` || types.includes(value));
  return (
    <label class="field-inline">
      <span>Type</span>
      <select value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
        <option value="*">All events</option>
        {!isKnown && <option value={value}>{value}</option>}
        {groups.map(([name, types]) =>
          types.length === 1 ? (
            <option key={name} value={types[0]}>
              {types[0]}
            </option>
          ) : (
            <optgroup key={name} label={name}>
              <option value={`${name}.*`}>{name}.*</option>
              {types.map((type) => (
                <option key={type} value={type}>
                  {type}
                </option>
              ))}
            </optgroup>
          ),
        )}
      </select>
    </label>
  );
}

function groupsOf(types: readonly string[]): [string, string[]][] {
  const groups = new Map<string, string[]>();
  for (const type of types) {
    const name = type.split('.')[0] ?? type;
    groups.set(name, [...(groups.get(name) ?? []), type]);
  }
  return [...groups];
}

interface EventListProps {
  feed: Feed;
  text: string;
  openId: string | undefined;
  open: (id: string) => void;
}

function EventList({ feed, text, openId, open }: EventListProps) {
  const all = feed.events.value;
  const shown = useMemo(
    () => (text === '' ? all : all.filter((event) => mentions(event, text.toLowerCase()))),
    [all, text],
  );
  const error = feed.error.value;
  if (error && all.length === 0) return <Failure error={error} retry={() => feed.loadOlder()} />;
  if (feed.isLoading.value && all.length === 0) return <Skeleton rows={12} />;
  if (shown.length === 0) {
    return (
      <Empty icon="events" title={text === '' ? 'No event yet' : 'No event mentions that'}>
        {text === ''
          ? 'What happens from now on appears here by itself.'
          : 'Only what is shown is searched, and what comes.'}
      </Empty>
    );
  }
  return (
    <VirtualList
      items={shown}
      rowHeight={narrow.matches ? NARROW_ROW_HEIGHT : ROW_HEIGHT}
      keyOf={({ id }) => id}
      label="Events, the newest first"
      onEnd={() => {
        if (feed.hasOlder.value && !feed.isLoading.value) void feed.loadOlder();
      }}
    >
      {(event) => <EventLine event={event} isOpen={event.id === openId} open={open} />}
    </VirtualList>
  );
}

function EventLine({ event, isOpen, open }: { event: Event; isOpen: boolean; open: (id: string) => void }) {
  const { id, type, timestamp, payload } = event;
  const time = Date.parse(timestamp);
  return (
    <button type="button" class="event-line" data-id={id} aria-expanded={isOpen} onClick={() => open(id)}>
      <time dateTime={timestamp} title={formatExact(time)} class="event-time">
        {formatClock(time)}
      </time>
      <EventType type={type} />
      <span class="event-payload">{shownPayload(payload)}</span>
    </button>
  );
}

function mentions({ id, type, payload }: Event, text: string): boolean {
  return id.includes(text) || type.includes(text) || JSON.stringify(payload).toLowerCase().includes(text);
}
