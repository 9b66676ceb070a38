import { z } from 'zod';

/** A JSON Schema, as far as the documents look into one. */
export interface JsonSchema {
  $ref?: string;
  anyOf?: JsonSchema[];
  const?: unknown;
  default?: unknown;
  enum?: unknown[];
  examples?: unknown[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  type?: string;
  description?: string;
  [keyword: string]: unknown;
}

const PREFIX = '#/components/schemas/';

/**
 * Turns the zod schemas of a document into JSON Schemas: those with an id (`.meta({ id })`) once, under `components`.
 *
 * `draft-2020-12` is what OpenAPI 3.1 is made of, `draft-7` what AsyncAPI 3.0 is.
 */
export class SchemaComponents {
  readonly schemas: Record<string, JsonSchema> = {};

  constructor(private readonly target: 'draft-2020-12' | 'draft-7') {}

  /**
   * Returns the JSON Schema of what is sent (`input`) or answered (`output`).
   *
   * @throws Error when two schemas have one id.
   */
  of(schema: z.ZodType, io: 'input' | 'output' = 'output'): JsonSchema {
    const { target } = this;
    // Inside of another one, so that a schema with an id is referred to like any that lies deeper.
    const json = z.toJSONSchema(z.object({ it: schema }), { target, io, override: dropSafeRange });
    const { properties, $defs, definitions } = JSON.parse(
      JSON.stringify(json).replaceAll(/"#\/(?:\$defs|definitions)\//g, `"${PREFIX}`),
    ) as JsonSchema & Record<'$defs' | 'definitions', Record<string, JsonSchema> | undefined>;
    for (const [id, definition] of Object.entries($defs ?? definitions ?? {})) this.add(id, definition);
    return properties?.['it'] ?? {};
  }

  /** Returns what a reference stands for. */
  resolve(schema: JsonSchema): JsonSchema {
    return schema.$ref === undefined ? schema : (this.schemas[schema.$ref.slice(PREFIX.length)] ?? {});
  }

  /**
   * Returns an example of a schema: its own, or one that is put together from those of its parts. Undefined where a part
   * that must be there has none.
   */
  exampleOf(schema: JsonSchema): unknown {
    const { examples, const: constant, enum: choices, anyOf, allOf, items, type } = schema;
    if (examples) return examples[0];
    if (constant !== undefined) return constant;
    if (schema.$ref !== undefined) return this.exampleOf(this.resolve(schema));
    if (choices) return choices[0];
    const parts = anyOf ?? (allOf as JsonSchema[] | undefined);
    if (parts) return parts.map((part) => this.exampleOf(part)).find((example) => example !== undefined);
    if (type === 'boolean') return false;
    if (type === 'array') return this.exampleOfList(items ?? {});
    return type === 'object' ? this.exampleOfObject(schema) : undefined;
  }

  private exampleOfList(items: JsonSchema): unknown {
    const item = this.exampleOf(items);
    return item === undefined ? undefined : [item];
  }

  private exampleOfObject({ properties = {}, required = [] }: JsonSchema): unknown {
    const parts = Object.entries(properties).map(([name, property]) => [name, this.exampleOf(property)] as const);
    const given = parts.filter(([, example]) => example !== undefined);
    const example = Object.fromEntries(given) as Record<string, unknown>;
    return required.every((name) => name in example) ? example : undefined;
  }

  private add(id: string, schema: JsonSchema): void {
    const known = this.schemas[id];
    if (known && JSON.stringify(known) !== JSON.stringify(schema)) {
      throw new Error(`Two schemas have the id "${id}": give one of them another with .meta({ id })`);
    }
    this.schemas[id] = schema;
  }
}

/** Leaves out the bounds that zod gives every whole number: they say no more than JSON does. */
function dropSafeRange({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}
