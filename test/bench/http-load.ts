import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What a phase of load came to. */
export interface Load {
  perSecond: number;
  /** In ms, one per answer. */
  latencies: number[];
}

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Sends one request after the other on each of some connections, for a while, one at least.
 *
 * Raw sockets that look at nothing but status and length: a client that does more would be what is measured.
 *
 * @param request - the whole request, or one for each connection in turn; answered by anything but a 2xx, the benchmark ends.
 */
export async function load(
  port: number,
  request: string | readonly string[],
  connections: number,
  ms: number,
): Promise<Load> {
  const requests = [request].flat();
  const until = performance.now() + ms;
  const latencies: number[] = [];
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: connections }, (_, n) =>
      askUntil(port, requests[n % requests.length] ?? '', until, latencies),
    ),
  );
  return { perSecond: latencies.length / ((performance.now() - startedAt) / 1000), latencies };
}

async function askUntil(port: number, request: string, until: number, latencies: number[]): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  const answers = answersOf(socket);
  do {
    const askedAt = performance.now();
    socket.write(request);
    const { value } = await answers.next();
    if (value === undefined || !value.startsWith('HTTP/1.1 2')) throw new Error(`answered ${value ?? 'nothing'}`);
    latencies.push(performance.now() - askedAt);
  } while (performance.now() < until);
  socket.destroy();
}

async function* answersOf(socket: Socket): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const end = rest.indexOf(HEAD_END);
      if (end < 0) break;
      const head = rest.toString('latin1', 0, end);
      const size = end + HEAD_END.length + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (rest.length < size) break;
      yield rest.toString('latin1', 0, size);
      rest = rest.subarray(size);
    }
  }
}
