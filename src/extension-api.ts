/**
 * The one door for extensions: everything that they may use, and nothing else is promised to them.
 *
 * Also what they need of Nest, TypeORM and zod, so that they run on the very copies that Herald runs on.
 */
export {
  BadRequestException,
  Body,
  Controller,
  Delete,
  Get,
  Header,
  Headers,
  HttpCode,
  Inject,
  Injectable,
  Logger,
  Module,
  Optional,
  Param,
  Patch,
  Post,
  Put,
  Query,
  type DynamicModule,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
export { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
export {
  Column,
  Entity,
  Index,
  LessThan,
  MoreThan,
  PrimaryColumn,
  type EntityManager,
  type MigrationInterface,
  type QueryRunner,
  type Repository,
} from 'typeorm';
export { z } from 'zod';

export {
  defineEvent,
  defineExtension,
  type EventsOf,
  type Extension,
  type ExtensionEvent,
  type ExtensionManifest,
} from './extensions/extension.js';

export { AccountLookup } from './auth/account-lookup.service.js';
export { AppError, type ErrorCode, type ErrorDetail } from './common/app-error.js';
export { Documented, type RouteDocumentation } from './common/documented.js';
export { epochMs, userId, uuid } from './common/fields.js';
export { pageOf, pageQuery, toPage, type Page } from './common/pagination.js';
export {
  AllowScope,
  CurrentPrincipal,
  Public,
  Roles,
  type Principal,
  type Role,
  type Scope,
} from './common/principal.js';
export { timeOrderedId } from './common/time-ids.js';
export { Config, readSettings } from './config/config.js';
export { duration, flag, integer, list, oneOf } from './config/variables.js';
export { bigint } from './database/columns.js';
export { Housekeeping } from './database/housekeeping.service.js';
export { UnitOfWork } from './database/unit-of-work.js';
export { AuditTrail } from './events/audit-trail.service.js';
export { EVERYONE, type EventPayload, type EventType, type ExtensionEvents, type Subject } from './events/catalogue.js';
export type { DomainEvent, EventEnvelope } from './events/domain-event.js';
export { EventBus } from './events/event-bus.js';
export { eventFilters, typesOf } from './events/event-filter.js';
export { OnDomainEvent } from './events/on-domain-event.js';
export { ReadinessChecks } from './health/readiness-checks.service.js';
export { DurableReader } from './jobs/durable-reader.js';
export { DurableReaders } from './jobs/durable-readers.service.js';
export { JobHandler, OnDeadJob } from './jobs/job-handler.js';
export { JobQueue } from './jobs/job-queue.service.js';
export {
  RetryAfterError,
  UnrecoverableJobError,
  type ExtensionJobs,
  type JobContext,
  type JobOptions,
  type JobTypeOptions,
  type JobTypes,
} from './jobs/job-types.js';
export { JobsModule } from './jobs/jobs.module.js';
export type { ExtensionMails, MailContent, MailTemplate } from './mail/mail-templates.js';
export type { AttemptResult } from './webhooks/delivery-schedule.js';
export { WebhookClient, type WebhookRequest } from './webhooks/webhook-client.js';
