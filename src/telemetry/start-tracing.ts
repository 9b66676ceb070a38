import { Logger } from '@nestjs/common';
import type { Config } from '../config/config.js';
import { setTracer } from './spans.js';

/** The pause between two warnings that the collector is not to be reached. */
const WARNING_PAUSE_MS = 60_000;
/** The share of `SHUTDOWN_GRACE_MS` in which the last spans may be sent. */
const FLUSH_SHARE = 0.1;

/**
 * Sends traces to `OTEL_EXPORTER_OTLP_ENDPOINT` (OTLP over HTTP, JSON), if that is set; the SDK is loaded only then. Called
 * before the application is built.
 *
 * A collector that is down costs the spans and nothing else: they wait in a bounded queue, and are dropped.
 *
 * @param version - of the service.
 * @returns what to call last when the process ends: it sends what is left.
 */
export async function startTracing(config: Config, version: string): Promise<() => Promise<void>> {
  const endpoint = config.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (endpoint === undefined) return () => Promise.resolve();
  const [sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: config.OTEL_EXPORTER_OTLP_HEADERS,
  });
  warnOfFailures(exporter);
  const provider = new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': config.OTEL_SERVICE_NAME, 'service.version': version }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(config.OTEL_TRACES_SAMPLER_ARG) }),
    spanProcessors: [new sdk.BatchSpanProcessor(exporter)],
  });
  provider.register();
  setTracer(provider.getTracer('herald', version));
  return async () => {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, config.SHUTDOWN_GRACE_MS * FLUSH_SHARE);
    });
    // What could not be sent was warned of.
    await Promise.race([provider.shutdown().catch(() => undefined), limit]);
    clearTimeout(timer);
  };
}

/** Says now and then that spans are being lost, and why. */
function warnOfFailures(exporter: import('@opentelemetry/sdk-trace-node').SpanExporter): void {
  const logger = new Logger('Telemetry');
  const send = exporter.export.bind(exporter);
  let warnedAt = Number.NEGATIVE_INFINITY;
  exporter.export = (spans, done) =>
    send(spans, (result) => {
      const now = performance.now();
      if (result.error && now - warnedAt >= WARNING_PAUSE_MS) {
        warnedAt = now;
        logger.warn(`${spans.length} spans could not be sent: ${result.error.message}`);
      }
      done(result);
    });
}
