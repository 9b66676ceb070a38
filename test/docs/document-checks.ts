import { Parser } from '@asyncapi/parser';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { DocumentSchemas, step, type Json } from '../support/document-schemas.js';

/** Returns what is wrong with an OpenAPI document, by the rules of Redocly and by its own examples. */
export async function checkOpenApi(text: string): Promise<string[]> {
  // Groups are told by their names.
  const config = await createConfig({ extends: ['recommended'], rules: { 'tag-description': 'off' } });
  const problems = await lintFromString({ source: text, absoluteRef: 'openapi.json', config });
  const sentences = problems.map(({ ruleId, message, location }) => `${location[0]?.pointer}: ${message} (${ruleId})`);
  return [...sentences, ...checkExamples(JSON.parse(text) as Json)];
}

/** Returns what is wrong with an AsyncAPI document, by its official parser and by its own examples. */
export async function checkAsyncApi(text: string): Promise<string[]> {
  const { diagnostics } = await new Parser().parse(text);
  const sentences = diagnostics
    // 3.1 adds nothing that is needed here, and fewer tools read it.
    .filter(({ code }) => code !== 'asyncapi-latest-version')
    .map(({ code, message, path }) => `#/${path.join('/')}: ${message} (${code})`);
  return [...sentences, ...checkExamples(JSON.parse(text) as Json)];
}

/** Checks every example in a document against the schema that it stands beside. */
function checkExamples(document: Json): string[] {
  const schemas = new DocumentSchemas(document);
  const problems: string[] = [];
  for (const { pointer, value } of examplesIn(document, '')) {
    const wrong = schemas.problemsOf(pointer, value);
    problems.push(...wrong.map((sentence) => `#${decodeURIComponent(pointer)}: an example is wrong: ${sentence}`));
  }
  return problems;
}

/** An example, and where its schema is. */
interface Example {
  pointer: string;
  value: unknown;
}

/** What holds values, not parts of the document. */
const VALUES = new Set(['example', 'examples', 'default', 'const', 'enum']);
/** What holds parts under names of their own, which may be any. */
const MAPS = new Set(['properties', 'schemas', 'messages', 'paths', 'channels']);

/** Finds the examples of schemas, of parameters and contents (`schema`, `example`), and of messages (`payload`, `headers`). */
function* examplesIn(part: unknown, pointer: string, isMap = false): Generator<Example> {
  if (typeof part !== 'object' || part === null) return;
  const node = part as Json;
  if (!isMap) yield* examplesOf(node, pointer);
  for (const [name, value] of Object.entries(node)) {
    if (isMap || !VALUES.has(name)) yield* examplesIn(value, pointer + step(name), !isMap && MAPS.has(name));
  }
}

function* examplesOf({ schema, example, examples, payload }: Json, pointer: string): Generator<Example> {
  if (schema !== undefined && example !== undefined) yield { pointer: `${pointer}/schema`, value: example };
  if (!Array.isArray(examples)) return;
  for (const value of examples as unknown[]) {
    if (payload === undefined) yield { pointer, value };
    else for (const [name, side] of Object.entries(value as Json)) yield { pointer: pointer + step(name), value: side };
  }
}
