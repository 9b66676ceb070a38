import { useMemo } from 'preact/hooks';
import type { MinuteCount } from './api-types.js';
import { Chart, type Series } from './chart.js';
import { formatDuration, formatNumber } from './format.js';
import { samples } from './overview.js';
import { Card } from './parts.js';

/** More types than there are colours are one. */
const COLOURS = 6;

/** What happened in the last hour. */
export function EventsChart({ minutes }: { minutes: readonly MinuteCount[] }) {
  const [times, series] = useMemo(() => [minutes.map(({ at }) => at), seriesOf(minutes)] as const, [minutes]);
  const summary = series.map(({ name, values }) => `${name}: ${values.reduce((a, b) => (a ?? 0) + (b ?? 0), 0)}`);
  return (
    <Card title="Events" note="per minute, by type">
      <Chart
        kind="stack"
        summary={`Events of the last hour. ${summary.join(', ') || 'There was none'}.`}
        times={times}
        series={series}
        format={formatWhole}
      />
    </Card>
  );
}

/** What was sent to webhooks in the last hour. */
export function AttemptsChart({ minutes }: { minutes: readonly MinuteCount[] }) {
  const [times, series] = useMemo(() => {
    const of = (kind: string) => minutes.map(({ counts }) => counts[kind] ?? 0);
    const layers: Series[] = [
      { name: 'delivered', colour: 'ok', values: of('delivered') },
      { name: 'failed', colour: 'bad', values: of('failed') },
    ];
    return [minutes.map(({ at }) => at), layers] as const;
  }, [minutes]);
  const [delivered, failed] = series.map(({ values }) => values.reduce((a, b) => (a ?? 0) + (b ?? 0), 0));
  return (
    <Card title="Webhook requests" note="per minute, by outcome">
      <Chart
        kind="stack"
        summary={`Webhook requests of the last hour: ${delivered} delivered, ${failed} failed.`}
        times={times}
        series={series}
        format={formatWhole}
      />
    </Card>
  );
}

/** How fast events reach whoever is connected. */
export function LatencyChart() {
  const all = samples.value;
  const times = useMemo(() => all.map(({ at }) => at), [all]);
  const series = useMemo<Series[]>(
    () => [
      { name: 'p50', colour: 'series-1', values: all.map(({ p50 }) => p50) },
      { name: 'p99', colour: 'series-4', values: all.map(({ p99 }) => p99) },
    ],
    [all],
  );
  const last = all.at(-1);
  const said = (value: number | null | undefined): string => (value == null ? 'no event' : formatDuration(value));
  return (
    <Card title="Commit to socket" note="since this page is open">
      <Chart
        kind="lines"
        summary={`From the commit of an event to every socket: median ${said(last?.p50)}, 99th percentile ${said(last?.p99)}.`}
        times={times}
        series={series}
        format={formatDuration}
      />
    </Card>
  );
}

/** How many are connected. */
export function ConnectionsChart() {
  const all = samples.value;
  const times = useMemo(() => all.map(({ at }) => at), [all]);
  const series = useMemo<Series[]>(
    () => [
      { name: 'WebSocket', colour: 'series-1', values: all.map(({ websocket }) => websocket) },
      { name: 'SSE', colour: 'series-3', values: all.map(({ sse }) => sse) },
    ],
    [all],
  );
  const { websocket = 0, sse = 0 } = all.at(-1) ?? {};
  return (
    <Card title="Connections" note="since this page is open">
      <Chart
        kind="lines"
        summary={`Live connections: ${websocket} by WebSocket, ${sse} by SSE.`}
        times={times}
        series={series}
        format={formatWhole}
      />
    </Card>
  );
}

/** The types with the most events have a layer of their own, in the order of their names so that colours stay. */
function seriesOf(minutes: readonly MinuteCount[]): Series[] {
  const totals = new Map<string, number>();
  for (const { counts } of minutes) {
    for (const [type, count] of Object.entries(counts)) totals.set(type, (totals.get(type) ?? 0) + count);
  }
  const ranked = [...totals].toSorted(([, a], [, b]) => b - a).map(([type]) => type);
  const isAll = ranked.length <= COLOURS;
  const named = ranked.slice(0, isAll ? COLOURS : COLOURS - 1).toSorted();
  const layers = named.map((name, at) => {
    return { name, colour: `series-${at + 1}`, values: minutes.map(({ counts }) => counts[name] ?? 0) };
  });
  if (isAll) return layers;
  const others = ranked.filter((type) => !named.includes(type));
  const values = minutes.map(({ counts }) => others.reduce((sum, type) => sum + (counts[type] ?? 0), 0));
  return [...layers, { name: 'others', colour: 'series-6', values }];
}

function formatWhole(value: number): string {
  return Number.isInteger(value) ? formatNumber(value) : '';
}
