import { SetMetadata } from '@nestjs/common';
import type { z } from 'zod';
import type { ErrorCode } from './app-error.js';

/** Metadata key under which {@link Documented} describes a route. */
export const DOCUMENTED = Symbol('documented');

/** What the documentation says of a route beside what its other decorators say. */
export interface RouteDocumentation<S extends z.ZodType = z.ZodType> {
  /** What it does, in a few words. */
  summary: string;
  /** What else there is to know, in Markdown. */
  description?: string;
  /** What it answers; a function is called when the documents are built, after every extension has declared its events. @default nothing */
  answer?: S | (() => S);
  /** What the parameters in its path are. @default text */
  params?: Record<string, z.ZodType>;
  /** Headers that it reads. */
  headers?: Record<string, z.ZodType>;
  /** Errors of its own, and those that follow from its decorators in other words: when each is answered. */
  errors?: Partial<Record<ErrorCode, string>>;
}

/** A route whose answer is written as it is, without the envelope `{"data": …}`. */
export interface RawRouteDocumentation extends RouteDocumentation {
  /** The media type of the answer. */
  mediaType: string;
}

/** What is kept for the documents. */
export type AnyRouteDocumentation = RouteDocumentation & Partial<RawRouteDocumentation>;

type MethodOf<A> = <H extends (...args: never[]) => A | Promise<A>>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<H>,
) => void;

/**
 * Describes a route for `/docs`. The compiler checks that the method returns what `answer` says; without `answer`, nothing.
 *
 * Parameters, bodies, access and status come from the route's other decorators. Examples stand with the schemas
 * (`.meta({ examples: […] })`); those of objects and lists are put together from their parts'.
 *
 * @example
 * ```ts
 * @Get(':id')
 * @Documented({ summary: 'Read a note', answer: noteView, errors: { NOT_FOUND: 'There is no such note.' } })
 * one(@Param('id') id: string): Promise<z.infer<typeof noteView>> { … }
 * ```
 */
export function Documented(about: RawRouteDocumentation): MethodOf<unknown>;
export function Documented<S extends z.ZodType = z.ZodVoid>(about: RouteDocumentation<S>): MethodOf<z.output<S>>;
export function Documented(about: AnyRouteDocumentation): MethodOf<unknown> {
  return (target, key, descriptor) => {
    SetMetadata(DOCUMENTED, about)(target, key, descriptor);
  };
}
