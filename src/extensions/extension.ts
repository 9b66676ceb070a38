import type { DynamicModule, Type } from '@nestjs/common';
import type { MigrationInterface } from 'typeorm';
import type { z } from 'zod';
import { StartError } from '../common/start-error.js';
import type { EventDefinition, Subject } from '../events/catalogue.js';
import type { MailTemplate } from '../mail/mail-templates.js';

/** What the name of an extension looks like: lower case, dashes, 63 characters at most. */
export const EXTENSION_NAME = /^[a-z][a-z0-9-]{0,62}$/;

/** Tells an extension from anything else that a package may export, across copies of this file. */
const MARK = Symbol.for('herald.extension');

/** What an extension says of itself. */
export interface ExtensionManifest {
  /** Its name for ever, in lower case with dashes: what it has left in the database hangs on it. */
  name: string;
  /** Its own version (Semantic Versioning). */
  version: string;
  /** The versions of Herald that it works with, as a range: `^0.1.0`. */
  requires: string;
  /** Other extensions that must be there too, each with a range of its versions. @default none */
  dependsOn?: Readonly<Record<string, string>>;
  /** The event types that it declares; their payloads join `ExtensionEvents`. @default none */
  events?: Readonly<Record<string, EventDefinition>>;
  /** The mails that it sends; their data joins `ExtensionMails`. @default none */
  mails?: Readonly<Record<string, MailTemplate<never>>>;
  /** The tables that it owns. @default none */
  entities?: readonly Type[];
  /** What makes them; run at start, after Herald's own, each once. @default none */
  migrations?: readonly Type<MigrationInterface>[];
  /** The Nest module with everything that it does. */
  module: Type | DynamicModule;
}

/** An extension, ready to be loaded. */
export interface Extension extends ExtensionManifest {
  readonly [MARK]: true;
}

/** Why the start stops: a mistake of an extension, or in how it is installed, told in a sentence that mends it. */
export class ExtensionError extends StartError {
  override readonly name = 'ExtensionError';
}

/** Makes an extension of its manifest; the default export of its package. */
export function defineExtension(manifest: ExtensionManifest): Extension {
  return Object.freeze({ ...manifest, [MARK]: true as const });
}

/** Says whether something is what {@link defineExtension} returned. */
export function isExtension(value: unknown): value is Extension {
  return typeof value === 'object' && value !== null && MARK in value;
}

/** An event type as an extension declares it: `subject` is checked against the payload. */
export interface ExtensionEvent<P extends z.ZodObject> extends EventDefinition {
  readonly payload: P;
}

/** Defines an event type of an extension. */
export function defineEvent<P extends z.ZodObject>(definition: {
  /** When it is published, in a sentence. */
  description: string;
  /** Exactly what it carries: `z.strictObject({ … })`. Never a secret. */
  payload: P;
  /** Whose it is, and so who may see it: a user id, an email address, `EVERYONE`, or null for admins alone. */
  subject: (payload: z.infer<P>) => Subject;
  /** What the audit trail calls it. @default 'success' */
  outcome?: 'failure';
}): ExtensionEvent<P> {
  return definition;
}

/** The payloads of some event definitions, for `interface ExtensionEvents extends EventsOf<typeof events> {}`. */
export type EventsOf<T extends Readonly<Record<string, ExtensionEvent<z.ZodObject>>>> = {
  [K in keyof T]: z.infer<T[K]['payload']>;
};
