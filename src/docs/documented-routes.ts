import { RequestMethod, type Type } from '@nestjs/common';
import { HTTP_CODE_METADATA, METHOD_METADATA, PATH_METADATA, ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { MetadataScanner, Reflector, type DiscoveryService } from '@nestjs/core';
import { z } from 'zod';
import { DOCUMENTED, type AnyRouteDocumentation } from '../common/documented.js';
import { ALLOWED_SCOPE, PUBLIC_ROUTE, ROLES, TOKEN_IN_QUERY, type Role, type Scope } from '../common/principal.js';
import { CONSOLE, PREFIX, MAILBOX, UNLIMITED, UNPREFIXED } from '../common/routes.js';

/** A route, as its decorators describe it. */
export interface Route {
  /** Names it among all: the controller's class and the method. */
  operationId: string;
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** From the root on, as Nest spells it: `/api/v1/events/:id`. */
  path: string;
  /** What groups it: the first part of its path, without the prefix. */
  tag: string;
  isPublic: boolean;
  tokenInQuery: boolean;
  /** What an API key needs; undefined where no key gets in. */
  scope: Scope | undefined;
  roles: readonly Role[] | undefined;
  isRateLimited: boolean;
  /** The status of an answer that is no error. */
  status: number;
  body: z.ZodType | undefined;
  query: z.ZodType | undefined;
  /** Undefined for a route without `@Documented()`. */
  about: AnyRouteDocumentation | undefined;
}

const METHODS = {
  [RequestMethod.GET]: 'get',
  [RequestMethod.POST]: 'post',
  [RequestMethod.PUT]: 'put',
  [RequestMethod.PATCH]: 'patch',
  [RequestMethod.DELETE]: 'delete',
} as const;
const reflector = new Reflector();

/** Finds the routes of all controllers, extensions' too, in the order of their registration. */
export function findRoutes(discovery: DiscoveryService): Route[] {
  const scanner = new MetadataScanner();
  return discovery.getControllers().flatMap(({ metatype: controller }) => {
    if (typeof controller !== 'function') return [];
    const names = scanner.getAllMethodNames(controller.prototype as object);
    return names.flatMap((name) => routesOf(controller as Type, name));
  });
}

/** Returns the routes of one method: none, one, or one for each of its paths. */
function routesOf(controller: Type, name: string): Route[] {
  const handler = (controller.prototype as Record<string, () => unknown>)[name] as () => unknown;
  const method = METHODS[reflector.get<RequestMethod>(METHOD_METADATA, handler) as keyof typeof METHODS];
  if (!method) return [];
  const read = (key: symbol): unknown => reflector.getAllAndOverride(key, [handler, controller]);
  const { body, query } = argumentsOf(controller, name);
  return pathsOf(controller, handler).map((path, index) => {
    const isPlain = [...UNPREFIXED, ...MAILBOX, ...CONSOLE].includes(path);
    return {
      operationId: `${controller.name.replace(/Controller$/, '')}.${name}${index === 0 ? '' : index + 1}`,
      method,
      path: isPlain ? `/${path}` : `/${PREFIX}/${path}`,
      tag: isPlain ? 'operations' : (path.split('/')[0] ?? ''),
      isPublic: read(PUBLIC_ROUTE) === true,
      tokenInQuery: read(TOKEN_IN_QUERY) === true,
      scope: read(ALLOWED_SCOPE) as Scope | undefined,
      roles: read(ROLES) as Role[] | undefined,
      isRateLimited: !UNLIMITED.includes(path),
      status: reflector.get<number | undefined>(HTTP_CODE_METADATA, handler) ?? (method === 'post' ? 201 : 200),
      body,
      query,
      about: reflector.get<AnyRouteDocumentation | undefined>(DOCUMENTED, handler),
    };
  });
}

/** Joins the paths of a controller and a method, without slashes at the ends. */
function pathsOf(controller: Type, handler: () => unknown): string[] {
  const read = (target: Type | (() => unknown)) => [reflector.get<string | string[]>(PATH_METADATA, target)].flat();
  return read(controller).flatMap((base) =>
    read(handler).map((path) =>
      `${base}/${path}`
        .split('/')
        .filter((part) => part !== '')
        .join('/'),
    ),
  );
}

/** Returns the schemas that a method's body and query are checked with. */
function argumentsOf(controller: Type, name: string): Pick<Route, 'body' | 'query'> {
  const found = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, name) as
    Record<string, { schema?: unknown }> | undefined;
  const schemaOf = (kind: RouteParamtypes): z.ZodType | undefined => {
    const [, argument] = Object.entries(found ?? {}).find(([key]) => key.startsWith(`${kind}:`)) ?? [];
    if (!argument) return undefined;
    // A schema of another library says what is wrong, but not what would be right.
    return argument.schema instanceof z.ZodType ? argument.schema : z.unknown();
  };
  return { body: schemaOf(RouteParamtypes.BODY), query: schemaOf(RouteParamtypes.QUERY) };
}
