import { Ajv, type ErrorObject, type Options } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** A JSON value to look into. */
export type Json = Record<string, unknown>;

const OPTIONS: Options = { strict: false, validateSchema: false, allErrors: true };

/** The JSON Schemas inside of a document, wherever they stand, ready to check values with. */
export class DocumentSchemas {
  private readonly ajv: Ajv;

  /** @param document - OpenAPI 3.1, which is made of JSON Schema 2020-12, or AsyncAPI 3.0, which is made of draft 7. */
  constructor(document: Json) {
    this.ajv = 'openapi' in document ? new Ajv2020(OPTIONS) : new Ajv(OPTIONS);
    addFormats.default(this.ajv);
    this.ajv.addSchema(document, 'document');
  }

  /** Returns what is wrong with a value by the schema at a JSON pointer; nothing when it is right. */
  problemsOf(pointer: string, value: unknown): string[] {
    // Compiled once: the library keeps what it has compiled by its id.
    const validate = this.ajv.getSchema(`document#${pointer}`);
    if (!validate) throw new Error(`there is no schema at ${pointer}`);
    return validate(value) === true ? [] : (validate.errors ?? []).map(sentenceOf);
  }
}

function sentenceOf({ instancePath, message, params }: ErrorObject): string {
  return `${instancePath === '' ? 'the value' : instancePath} ${message} ${JSON.stringify(params)}`;
}

/** Writes a step of a JSON pointer (RFC 6901 §3), for use in a URI fragment. */
export function step(name: string): string {
  return `/${encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))}`;
}
