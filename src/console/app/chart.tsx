import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { isDark } from './theme.js';
import { TIME_STEPS, timeOfDay, timeRange } from './time-axis.js';

/** One line, or one layer of a stack. */
export interface Series {
  name: string;
  /** The name of a CSS variable. */
  colour: string;
  values: readonly (number | null)[];
}

interface ChartProps {
  /** What it shows, in a sentence: for who cannot see it. */
  summary: string;
  /** Epoch ms. */
  times: readonly number[];
  series: readonly Series[];
  /** `stack` draws bars on top of each other. */
  kind: 'lines' | 'stack';
  format: (value: number) => string;
}

const HEIGHT = 180;

/** Draws values over time, with a legend that shows what is pointed at. */
export function Chart({ summary, times, series, kind, format }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const shape = `${isDark.value} ${kind} ${series.map(({ name, colour }) => name + colour).join()}`;
  const data = dataOf(times, series, kind);
  const values = useRef(series);
  values.current = series;
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const options = optionsOf(values, kind, format, element.clientWidth);
    plot.current = new uPlot(options, data, element);
    const observer = new ResizeObserver(() => {
      const { clientWidth: width } = element;
      if (width > 0) plot.current?.setSize({ width, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [times, series]);
  return (
    <div class="chart">
      <div ref={box} class="chart-plot" role="img" aria-label={summary} />
      <ul class="legend" aria-hidden="true">
        {series.map(({ name, colour }) => (
          <li key={name}>
            <span class={`swatch swatch-${colour}`} />
            {name}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** A stack is drawn from its top: each layer is as high as all up to it. */
function dataOf(times: readonly number[], series: readonly Series[], kind: ChartProps['kind']): uPlot.AlignedData {
  const seconds = times.map((at) => at / 1000);
  if (kind === 'lines') return [seconds, ...series.map(({ values }) => [...values])];
  const sums = times.map(() => 0);
  const layers = series.map(({ values }) => values.map((value, at) => (sums[at] = (sums[at] ?? 0) + (value ?? 0))));
  return [seconds, ...layers.toReversed()];
}

function optionsOf(
  current: { current: readonly Series[] },
  kind: ChartProps['kind'],
  format: (value: number) => string,
  width: number,
): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colourOf = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const font = '11px system-ui, sans-serif';
  const axis: uPlot.Axis = {
    stroke: colourOf('muted'),
    font,
    grid: { stroke: colourOf('line'), width: 1 },
    ticks: { show: false },
  };
  const bars = uPlot.paths.bars?.({ size: [0.8, 24], align: 1 });
  const layers = kind === 'stack' ? current.current.toReversed() : current.current;
  return {
    width: Math.max(width, 200),
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: kind === 'lines' }, drag: { x: false, y: false } },
    scales: {
      // What is proposed is a day where there is one moment alone.
      x: { range: ({ data: [times] }) => timeRange(times, kind) },
      y: { range: (_, __, max) => [0, niceTop(max)] },
    },
    axes: [
      {
        ...axis,
        size: 28,
        grid: { show: false },
        space: 60,
        incrs: TIME_STEPS[kind],
        values: (_, splits) => splits.map((at) => timeOfDay(at, kind)),
      },
      { ...axis, size: 52, space: 36, values: (_, splits) => splits.map((value) => format(value)) },
    ],
    series: [
      {},
      ...layers.map(({ name, colour }) =>
        kind === 'stack'
          ? { label: name, fill: colourOf(colour), width: 0, points: { show: false }, ...(bars && { paths: bars }) }
          : { label: name, stroke: colourOf(colour), width: 2, spanGaps: true, points: { show: false } },
      ),
    ],
    plugins: [tooltip(current, kind, format)],
  };
}

/** A top above the highest value, so that a flat line is not at the edge. */
function niceTop(max: number): number {
  return Number.isFinite(max) && max > 0 ? max * 1.1 : 1;
}

/** Shows the values at the place that is pointed at. */
function tooltip(
  current: { current: readonly Series[] },
  kind: ChartProps['kind'],
  format: (value: number) => string,
): uPlot.Plugin {
  const box = document.createElement('div');
  box.className = 'chart-tip';
  box.hidden = true;
  return {
    hooks: {
      init: (plot) => plot.over.append(box),
      setCursor: (plot) => {
        const { idx, left = 0 } = plot.cursor;
        box.hidden = idx === null || idx === undefined || left < 0;
        if (idx === null || idx === undefined) return;
        const shown = current.current.filter(({ values }) => (values[idx] ?? 0) > 0);
        const time = document.createElement('strong');
        time.textContent = timeOfDay(plot.data[0][idx] ?? 0, kind);
        const lines = shown.map(({ name, values, colour }) => {
          const line = document.createElement('div');
          const swatch = document.createElement('span');
          swatch.className = `swatch swatch-${colour}`;
          line.append(
            swatch,
            `${name} `,
            Object.assign(document.createElement('b'), { textContent: format(values[idx] ?? 0) }),
          );
          return line;
        });
        box.replaceChildren(time, ...lines);
        const isRight = left > plot.over.clientWidth / 2;
        box.style.left = isRight ? '' : `${left + 12}px`;
        box.style.right = isRight ? `${plot.over.clientWidth - left + 12}px` : '';
      },
    },
  };
}
