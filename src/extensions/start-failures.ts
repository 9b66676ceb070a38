import type { DynamicModule, Type } from '@nestjs/common';
import { UnknownDependenciesException } from '@nestjs/core/errors/exceptions/unknown-dependencies.exception.js';
import { StartError } from '../common/start-error.js';
import { ExtensionError, type Extension } from './extension.js';

/**
 * Says of what stopped the start which extension it was, and what mends it.
 *
 * @returns the error itself when it says so already, or when it is no extension's.
 */
export function explainFailure(error: unknown, extensions: readonly Extension[]): unknown {
  if (error instanceof StartError || !(error instanceof Error)) return error;
  const sentence =
    error instanceof UnknownDependenciesException
      ? missingDependency(error, extensions)
      : (error as { code?: string }).code === 'FST_ERR_DUPLICATED_ROUTE'
        ? duplicatedRoute(error, extensions)
        : thrown(error, extensions);
  return sentence === undefined ? error : new ExtensionError(sentence, { cause: error });
}

function missingDependency({ type, context }: UnknownDependenciesException, extensions: readonly Extension[]) {
  const owner = extensions.find((one) => classesOf(one).some(({ name }) => name === type));
  if (!owner) return undefined;
  const { name, index = 0, key } = context;
  const where = key === undefined ? `argument ${index + 1} of its constructor` : `its property ${String(key)}`;
  const start = `The extension "${owner.name}": ${String(type)} needs`;
  if (name === undefined || name === Object) {
    return `${start} something as ${where}, and nothing says what: write @Inject(TheClass) before it, and import that class without "type".`;
  }
  const what = typeof name === 'function' ? name.name : String(name);
  return `${start} ${what} as ${where}, and nobody provides it: add it to the providers of its module, or import the module that exports it.`;
}

function duplicatedRoute({ message }: Error, extensions: readonly Extension[]) {
  const [, method, url = ''] = /^Method '(.*)' already declared for route '(.*)'$/.exec(message) ?? [];
  const owners = extensions.filter((one) =>
    classesOf(one).some((each) => pathsOf(each).some((at) => url.includes(at))),
  );
  if (owners.length === 0) return undefined;
  const names = owners.map(({ name }) => `"${name}"`).join(' or ');
  return `The route ${method} ${url} is declared twice: give the one in the extension ${names} another path.`;
}

function thrown(error: Error, extensions: readonly Extension[]) {
  // The innermost frame that belongs to an extension: new Notes (…), Notes.onModuleInit (…), async Notes.onModuleInit (…).
  for (const [, name, place] of (error.stack ?? '').matchAll(/^\s+at (?:async )?(?:new )?(\w+)[^(\n]*\((.*)\)$/gm)) {
    const owner = extensions.find((one) => classesOf(one).some((each) => each.name === name));
    if (owner) return `The extension "${owner.name}" failed to start: ${error.message} (${name}, ${place}).`;
  }
  return undefined;
}

/** The paths of a controller, each with a slash before it; none for other classes. */
function pathsOf(type: Type): string[] {
  const path = Reflect.getMetadata('path', type) as string | string[] | undefined;
  return path === undefined ? [] : [path].flat().map((one) => `/${one.replace(/^\//, '')}`);
}

/** The controllers and providers of an extension's module, and of those that it imports. */
function classesOf({ module }: Extension): Type[] {
  const found = new Set<Type>();
  const seen = new Set<unknown>();
  const visit = (one: Type | DynamicModule | undefined): void => {
    if (one === undefined || seen.has(one)) return;
    seen.add(one);
    const type = 'module' in one ? one.module : one;
    for (const list of ['controllers', 'providers', 'imports'] as const) {
      const fixed = (Reflect.getMetadata(list, type) ?? []) as unknown[];
      const added = 'module' in one ? ((one[list] ?? []) as unknown[]) : [];
      for (const entry of [...fixed, ...added]) {
        if (list === 'imports') visit(entry as Type | DynamicModule);
        else if (typeof entry === 'function') found.add(entry as Type);
      }
    }
  };
  visit(module);
  return [...found];
}
