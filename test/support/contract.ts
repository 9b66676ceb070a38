import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DiscoveryService } from '@nestjs/core';
import { findRoutes } from '../../src/docs/documented-routes.js';
import { Documents } from '../../src/docs/documents.service.js';
import { DocumentSchemas, step, type Json } from './document-schemas.js';

interface Operation {
  operationId: string;
  responses: Record<string, { $ref?: string; content?: Record<string, unknown> }>;
}

/** What a server's own OpenAPI document promises of its answers. */
export class Contract {
  private static readonly known = new Map<string, Contract>();
  private static readonly ofServers = new WeakMap<NestFastifyApplication, Contract>();
  private readonly schemas: DocumentSchemas;
  /** Fixed parts of paths before parameters. */
  private readonly paths: { path: string; pattern: RegExp }[];

  constructor(readonly document: Json) {
    this.schemas = new DocumentSchemas(document);
    this.paths = Object.keys(document['paths'] as Json)
      .toSorted((a, b) => Number(a.includes('{')) - Number(b.includes('{')))
      .map((path) => ({ path, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`) }));
  }

  /** The contract of a server in this process. Servers with the same routes share one: to build it takes a while. */
  static of(app: NestFastifyApplication): Contract {
    const contract = this.ofServers.get(app) ?? this.find(app);
    this.ofServers.set(app, contract);
    return contract;
  }

  private static find(app: NestFastifyApplication): Contract {
    const routes = findRoutes(app.get(DiscoveryService, { strict: false }));
    const key = routes.map(({ operationId, path }) => `${operationId} ${path}`).join();
    let contract = this.known.get(key);
    if (!contract) {
      contract = new Contract(JSON.parse(app.get(Documents).openApi) as Json);
      this.known.set(key, contract);
    }
    return contract;
  }

  /** @throws Error for an answer that the document does not promise. */
  check(method: string, path: string, status: number, body: unknown): void {
    // CORS, which is the browser's affair.
    if (method === 'OPTIONS') return;
    const found = this.paths.find(({ pattern }) => pattern.test(path));
    const operations = found && ((this.document['paths'] as Json)[found.path] as Record<string, Operation>);
    const operation = operations?.[method.toLowerCase()];
    const problems =
      found && operation
        ? this.problemsOf(operation, `/paths${step(found.path)}/${method.toLowerCase()}`, status, body)
        : this.problemsOfNothing(status, body);
    if (problems.length === 0) return;
    throw new Error(
      `${method} ${path} answered ${status} ${JSON.stringify(body)}, and /docs says otherwise: ${problems.join('; ')}`,
    );
  }

  private problemsOf(operation: Operation, pointer: string, status: number, body: unknown): string[] {
    let at = `${pointer}/responses/${status}`;
    let response = operation.responses[status];
    if (!response) return [`${operation.operationId} has no such status`];
    if (response.$ref !== undefined) {
      const name = response.$ref.split('/').at(-1) ?? '';
      at = `/components/responses/${name}`;
      response = ((this.document['components'] as Json)['responses'] as Record<string, Operation['responses'][string]>)[
        name
      ];
    }
    if (response?.content?.['application/json'])
      return this.schemas.problemsOf(`${at}/content/application~1json/schema`, body);
    // What is not documented may answer anything.
    return body === undefined || response?.content || isUndocumented(operation) ? [] : ['there is no body'];
  }

  /** What no route answers is an error in the contract's shape. */
  private problemsOfNothing(status: number, body: unknown): string[] {
    const code = (body as { error?: { code?: string } } | undefined)?.error?.code ?? 'none';
    const schemas = (this.document['components'] as Json)['schemas'] as Json;
    if (!(`Error.${code}` in schemas)) return [`a ${status} of no route is not an error`];
    return this.schemas.problemsOf(`/components/schemas/Error.${code}`, body);
  }
}

function isUndocumented({ responses }: Operation): boolean {
  return Object.values(responses).some(
    (response) => (response as { description?: string }).description === 'Not documented.',
  );
}
