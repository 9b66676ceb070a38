import { timingSafeEqual } from 'node:crypto';
import { Controller, Get, Headers, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Documented } from '../common/documented.js';
import { Public } from '../common/principal.js';
import { sha256 } from '../common/sha256.js';
import { Config } from '../config/config.js';
import { Metrics } from './metrics.service.js';

/** What Prometheus scrapes. */
@Public()
@Controller('metrics')
export class MetricsController {
  constructor(
    private readonly metrics: Metrics,
    private readonly config: Config,
  ) {}

  /** With `METRICS_TOKEN` set, only for who presents it as a bearer token. */
  @Get()
  @Documented({
    summary: 'Measurements for Prometheus',
    mediaType: 'text/plain',
    answer: z.string(),
    headers: { Authorization: z.string().meta({ description: '`Bearer` and the `METRICS_TOKEN`, where it is set.' }) },
    errors: { UNAUTHORIZED: 'The metrics are bound to a token.' },
  })
  async read(
    @Headers('authorization') authorization: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string> {
    const { METRICS_TOKEN: token } = this.config;
    if (token !== undefined && !isSame(authorization ?? '', `Bearer ${token}`)) {
      throw new AppError('UNAUTHORIZED', 'The metrics are bound to a token: see METRICS_TOKEN');
    }
    void reply.header('Content-Type', this.metrics.contentType);
    return this.metrics.render();
  }
}

/** Compares without telling by its time how much was right. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(a)), Buffer.from(sha256(b)));
}
