/** One block of an event stream. */
export interface SseBlock {
  event: string;
  data: string;
  id?: string;
}

/** Takes an event stream apart (WHATWG HTML §9.2.6), whatever pieces it arrives in. */
export class SseParser {
  private rest = '';
  private lines: string[] = [];

  /** @param onRetry - told the reconnection time that the stream asks for, in ms. */
  constructor(
    private readonly onBlock: (block: SseBlock) => void,
    private readonly onRetry: (ms: number) => void,
  ) {}

  push(text: string): void {
    this.rest += text;
    // A carriage return at the very end may be half of a line break.
    const lines = this.rest.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') this.dispatch();
      else this.lines.push(line);
    }
  }

  private dispatch(): void {
    const block: SseBlock = { event: '', data: '' };
    const data: string[] = [];
    for (const line of this.lines.splice(0)) {
      const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (name === 'data') data.push(value);
      else if (name === 'event' || name === 'id') block[name] = value;
      else if (name === 'retry' && /^\d+$/.test(value)) this.onRetry(Number(value));
    }
    if (data.length > 0) this.onBlock({ ...block, data: data.join('\n') });
  }
}
