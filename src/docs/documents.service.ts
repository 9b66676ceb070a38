import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { HERALD_VERSION } from '../common/herald-version.js';
import { Config } from '../config/config.js';
import { buildAsyncApi } from './asyncapi.js';
import { findRoutes } from './documented-routes.js';
import { buildOpenApi } from './openapi.js';

/** The two documents of this process as JSON text, each built once, when it is asked for first: that takes a tenth of a second. */
@Injectable()
export class Documents {
  private openApiText: string | undefined;
  private asyncApiText: string | undefined;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly config: Config,
  ) {}

  /** OpenAPI 3.1, of the routes that this process has. @throws Error when two schemas have one id */
  get openApi(): string {
    return (this.openApiText ??= JSON.stringify(buildOpenApi(findRoutes(this.discovery), HERALD_VERSION)));
  }

  /** AsyncAPI 3.0, of the events that this process has. @throws Error when two schemas have one id */
  get asyncApi(): string {
    const { PUBLIC_URL, PORT } = this.config;
    return (this.asyncApiText ??= JSON.stringify(
      buildAsyncApi(PUBLIC_URL ?? `http://localhost:${PORT}`, HERALD_VERSION),
    ));
  }
}
