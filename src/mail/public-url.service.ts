import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Config } from '../config/config.js';

/** Where people reach this service, for links in mails: `PUBLIC_URL`, or the port it listens on at this machine. */
@Injectable()
export class PublicUrl {
  constructor(
    private readonly config: Config,
    private readonly host: HttpAdapterHost,
  ) {}

  /** Returns the URL without a slash at its end. */
  get(): string {
    if (this.config.PUBLIC_URL !== undefined) return this.config.PUBLIC_URL;
    const address = (this.host.httpAdapter.getHttpServer() as Server).address() as AddressInfo | null;
    return `http://localhost:${address?.port ?? this.config.PORT}`;
  }
}
