import { Inbox } from './inbox.js';
import { recordSecrets } from './recorder.js';

export interface SseOptions {
  token?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
}

/** One block of a stream as it came over the wire. */
export interface SseBlock {
  text: string;
  event?: string;
  id?: string;
  data?: string;
}

/** A client of the stream that sees the raw blocks, as curl does. */
export class SseClient {
  private readonly inbox = new Inbox<SseBlock>();
  /** Resolves when the server ends the stream. */
  readonly ended: Promise<void>;

  private constructor(
    readonly response: Response,
    private readonly abort: AbortController,
  ) {
    this.ended = this.read();
  }

  static async open(url: string, { token, query = {}, headers = {} }: SseOptions): Promise<SseClient> {
    recordSecrets({ token, query, headers });
    const abort = new AbortController();
    const search = new URLSearchParams(query).toString();
    const response = await fetch(search === '' ? url : `${url}?${search}`, {
      headers: { ...(token !== undefined && { Authorization: `Bearer ${token}` }), ...headers },
      signal: abort.signal,
    });
    return new SseClient(response, abort);
  }

  get received(): SseBlock[] {
    return this.inbox.all;
  }

  next(fits?: (block: SseBlock) => boolean): Promise<SseBlock> {
    return this.inbox.next(fits);
  }

  nextEvent(type: string): Promise<SseBlock> {
    return this.next(({ event }) => event === type);
  }

  close(): void {
    this.abort.abort();
  }

  private async read(): Promise<void> {
    let rest = '';
    try {
      for await (const chunk of this.response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        rest += chunk;
        for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
          const text = rest.slice(0, end).replace(/^\n+/, '');
          if (text !== '') this.inbox.push(parseBlock(text));
          rest = rest.slice(end + 2);
        }
      }
      this.inbox.finish('the stream has ended');
    } catch (error) {
      this.inbox.finish(`the stream broke off: ${String(error)}`);
    }
  }
}

function parseBlock(text: string): SseBlock {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1];
  const [event, id, data] = [field('event'), field('id'), field('data')];
  return {
    text,
    ...(event !== undefined && { event }),
    ...(id !== undefined && { id }),
    ...(data !== undefined && { data }),
  };
}
