import { lookup, Resolver } from 'node:dns/promises';
import type { LookupAddress } from 'node:dns';

/** Resolves a name to all its addresses. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

const QUERY_TIMEOUT_MS = 2000;
const TRIES = 2;

/** What a name server answers for a name it does not have; the hosts file, or a search domain, may. */
const ABSENT = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED', 'EREFUSED']);

/**
 * Resolves the names of receivers without letting one that answers slowly hold the others up.
 *
 * `dns.lookup` works in Node's pool of four threads, of which lookups get two: two names whose servers are silent would
 * stop every other lookup of the process. So name servers are asked by c-ares, which needs no thread, and `dns.lookup`,
 * which also knows the hosts file and the search domains, only for names that they do not have. Those who ask for the
 * same name at the same time share one answer.
 */
export class NameResolver {
  private readonly servers = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: TRIES });
  private readonly underWay = new Map<string, Promise<LookupAddress[]>>();

  readonly resolve: Resolve = (hostname) => {
    const known = this.underWay.get(hostname);
    if (known) return known;
    const answer = this.ask(hostname).finally(() => this.underWay.delete(hostname));
    this.underWay.set(hostname, answer);
    return answer;
  };

  private async ask(hostname: string): Promise<LookupAddress[]> {
    const [four, six] = await Promise.allSettled([this.servers.resolve4(hostname), this.servers.resolve6(hostname)]);
    const addresses = [
      ...(four.status === 'fulfilled' ? four.value.map((address) => ({ address, family: 4 })) : []),
      ...(six.status === 'fulfilled' ? six.value.map((address) => ({ address, family: 6 })) : []),
    ];
    if (addresses.length > 0) return addresses;
    const error = (four.status === 'rejected' ? four.reason : undefined) as NodeJS.ErrnoException | undefined;
    if (error && !ABSENT.has(error.code ?? '')) throw error;
    return lookup(hostname, { all: true });
  }
}
