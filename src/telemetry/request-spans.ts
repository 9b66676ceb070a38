import { context, propagation, ROOT_CONTEXT, SpanKind, trace, type Span } from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { pathOf } from '../common/http-error.filter.js';
import { currentTracer, fail } from './spans.js';

/**
 * Makes a span of every request, named by its route, as a part of the caller's trace (W3C Trace Context); a stream's lasts
 * as long as the stream. Attributes are those of OpenTelemetry's conventions for HTTP servers.
 *
 * @param untraced - routes that are asked all the time: probes and scrapers.
 */
export function traceRequests(fastify: FastifyInstance, untraced: readonly string[]): void {
  const tracer = currentTracer();
  if (!tracer) return;
  const spans = new WeakMap<FastifyRequest, Span>();
  fastify.addHook('onRequest', (request, reply, done) => {
    const { method, id, headers } = request;
    const route = request.routeOptions.url;
    if (route !== undefined && untraced.includes(route)) return done();
    const attributes = {
      'http.request.method': method,
      'url.path': pathOf(request.url),
      'url.scheme': request.protocol,
      ...(route !== undefined && { 'http.route': route }),
      'herald.request_id': id,
    };
    const name = route === undefined ? method : `${method} ${route}`;
    const span = tracer.startSpan(
      name,
      { kind: SpanKind.SERVER, attributes },
      propagation.extract(ROOT_CONTEXT, headers),
    );
    spans.set(request, span);
    reply.raw.once('close', () => {
      const { statusCode } = reply.raw;
      span.setAttribute('http.response.status_code', statusCode);
      if (statusCode >= 500) fail(span, String(statusCode));
      span.end();
    });
    done();
  });
  // After the body was read: reading it would lose a context entered earlier.
  fastify.addHook('preHandler', (request, _reply, done) => {
    const span = spans.get(request);
    if (span) context.with(trace.setSpan(context.active(), span), done);
    else done();
  });
}
