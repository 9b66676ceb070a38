import { existsSync } from 'node:fs';
import { createRequire, register } from 'node:module';
import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Type } from '@nestjs/common';
import semver from 'semver';
import { z } from 'zod';
import { HERALD_VERSION } from '../common/herald-version.js';
import { migrations, tableOf } from '../database/data-source-options.js';
import { declareEvents } from '../events/catalogue.js';
import { declareMails } from '../mail/mail-templates.js';
import { EXTENSION_NAME, ExtensionError, isExtension, type Extension } from './extension.js';
import { installed } from './installed.js';
import { SHIPPED_PREFIX, shipped } from './shipped.js';

/** Where extensions find what they import, wherever they are themselves. */
const API = new URL('../extension-api.js', import.meta.url);
const API_NAME = 'herald/extension-api';

const manifest = z.object({
  name: z.string().regex(EXTENSION_NAME, 'is no name in lower case with dashes'),
  version: z.string().refine((text) => semver.valid(text) !== null, 'is no version such as 1.0.0'),
  requires: z.string().refine((text) => semver.validRange(text) !== null, 'is no range of versions such as ^1.0.0'),
  dependsOn: z.record(z.string(), z.string()).optional(),
});

/**
 * Finds the extensions that a team has built in, and those that `HERALD_EXTENSIONS` names: shipped ones, packages, paths.
 *
 * @returns each after those that it depends on.
 * @throws ExtensionError
 */
export async function loadExtensions(names: readonly string[]): Promise<Extension[]> {
  if (names.some((name) => !name.startsWith(SHIPPED_PREFIX))) resolveApi();
  const found = [...installed];
  for (const name of names) found.push(await importExtension(name));
  for (const extension of found) check(extension);
  const byName = new Map<string, Extension>();
  for (const extension of found) {
    if (byName.has(extension.name)) {
      throw new ExtensionError(`There are two extensions "${extension.name}": take one of them out.`);
    }
    byName.set(extension.name, extension);
  }
  return inOrder(byName);
}

/** Has `herald/extension-api` mean this very process's, also for an extension that lies elsewhere and has no packages. */
function resolveApi(): void {
  const hook = `export const resolve = (specifier, context, next) => specifier === ${JSON.stringify(API_NAME)}
    ? { url: ${JSON.stringify(API.href)}, shortCircuit: true } : next(specifier, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}

async function importExtension(name: string): Promise<Extension> {
  if (name.startsWith(SHIPPED_PREFIX)) return importShipped(name);
  const exported: unknown = await import(locate(name)).catch((error: unknown) => {
    const { code, message } = error as { code?: string; message?: string };
    if (code === 'ERR_MODULE_NOT_FOUND' && message?.includes(`'${name}'`)) {
      throw new ExtensionError(
        `There is no package "${name}": install it beside Herald, or take it out of HERALD_EXTENSIONS.`,
      );
    }
    if (code === 'ERR_UNSUPPORTED_ESM_URL_SCHEME') {
      throw new ExtensionError(
        `"${name}" is neither a package nor a path; a shipped extension is written herald/NAME: mend HERALD_EXTENSIONS.`,
      );
    }
    throw new ExtensionError(`The extension "${name}" cannot be read: ${message ?? String(error)}`, { cause: error });
  });
  const extension = (exported as { default?: unknown }).default;
  if (isExtension(extension)) return extension;
  throw new ExtensionError(`"${name}" is no extension: its default export must be what defineExtension returns.`);
}

async function importShipped(name: string): Promise<Extension> {
  const load = shipped.get(name);
  if (load) return (await load()).default;
  throw new ExtensionError(`Herald ships no extension "${name}". Those it ships: ${[...shipped.keys()].join(', ')}.`);
}

/** Turns a path into the URL of the file that is meant; a package's name stays what it is. */
function locate(name: string): string {
  if (!name.startsWith('.') && !isAbsolute(name)) return name;
  const path = resolve(name);
  if (!existsSync(path)) {
    throw new ExtensionError(`There is no extension at ${path}: mend the path in HERALD_EXTENSIONS.`);
  }
  try {
    // A folder's package.json says which of its files is meant.
    return pathToFileURL(createRequire(import.meta.url).resolve(path)).href;
  } catch {
    throw new ExtensionError(`${path} has no file to start with: name it as "main" in its package.json, and build it.`);
  }
}

function check(extension: Extension): void {
  const { name } = extension;
  const result = manifest.safeParse(extension);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new ExtensionError(`The manifest of the extension "${name}": ${issue?.path.join('.')} ${issue?.message}.`);
  }
  if (!semver.satisfies(HERALD_VERSION, extension.requires, { includePrerelease: true })) {
    throw new ExtensionError(
      `The extension "${name}" ${extension.version} is made for Herald ${extension.requires}, and this is ${HERALD_VERSION}: install another version of one of them.`,
    );
  }
}

/** Sorts so that each comes after those that it depends on. */
function inOrder(byName: ReadonlyMap<string, Extension>): Extension[] {
  const ordered = new Set<Extension>();
  const place = (extension: Extension, path: readonly string[]): void => {
    if (path.includes(extension.name)) {
      throw new ExtensionError(`The extensions ${path.join(', ')} depend on each other in a circle.`);
    }
    for (const [name, range] of Object.entries(extension.dependsOn ?? {})) {
      const other = byName.get(name);
      if (!other || !semver.satisfies(other.version, range)) {
        const what = other ? `, and ${other.version} is installed` : ', which is not installed';
        throw new ExtensionError(`The extension "${extension.name}" needs the extension "${name}" ${range}${what}.`);
      }
      place(other, [...path, extension.name]);
    }
    ordered.add(extension);
  };
  for (const extension of byName.values()) place(extension, []);
  return [...ordered];
}

/**
 * Adds what extensions declare to what this process knows: event types and mails.
 *
 * @param ownEntities - Herald's, whose tables and migrations nobody else's may be called like.
 * @throws ExtensionError for a name that is taken.
 */
export function declareExtensions(extensions: readonly Extension[], ownEntities: readonly Type[]): void {
  const tables = new Map(ownEntities.map((entity) => [tableOf(entity), 'Herald']));
  const migrationNames = new Map(migrations.map(({ name }) => [name, 'Herald']));
  for (const { name, events = {}, mails = {}, entities = [], migrations: own = [] } of extensions) {
    try {
      declareEvents(events);
      declareMails(mails);
    } catch (error) {
      throw new ExtensionError(`The extension "${name}": ${(error as Error).message}.`, { cause: error });
    }
    for (const entity of entities) take(tables, tableOf(entity), `the table "${tableOf(entity)}"`, name);
    for (const { name: migration } of own) take(migrationNames, migration, `the migration ${migration}`, name);
  }
}

/** Gives a name to an extension. */
function take(
  owners: Map<string | undefined, string>,
  name: string | undefined,
  what: string,
  extension: string,
): void {
  const owner = owners.get(name);
  if (owner !== undefined) {
    throw new ExtensionError(`The extension "${extension}" has ${what}, as ${owner} has: choose another name.`);
  }
  owners.set(name, extension);
}
