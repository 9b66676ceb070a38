import { connect, type Socket } from 'node:net';
import type { FuzzDice } from './dice.js';
import type { FuzzedServer } from './fuzzed-server.js';
import { HttpReader, isStream, wrongWithError, wrongWithStream, type HttpAnswer } from './http-answers.js';
import { anyRequest } from './odd-requests.js';
import type { OddRequest } from './stream-requests.js';
import type { World } from './messages.js';
import { Patience } from './patience.js';
import type { Tally } from './tally.js';

interface HttpOptions {
  server: FuzzedServer;
  dice: FuzzDice;
  world: World;
  tally: Tally;
  /** The server counts requests and streams, and may refuse any of them for that. */
  isLimited?: boolean;
}

/** One client that sends a few requests on one connection, in one breath or in turn, and leaves. */
export class HttpConnection {
  private readonly socket: Socket;
  private readonly reader: HttpReader;
  private readonly due: OddRequest[] = [];
  private readonly sent: OddRequest[] = [];
  private isPipelined = false;
  /** What was written last may not have been read as a whole. */
  private wasLong = false;
  private isStreaming = false;
  /** The server has said that it answers nothing more here. */
  private isClosing = false;
  private readonly patience = new Patience();

  private constructor(private readonly options: HttpOptions) {
    this.reader = new HttpReader({
      isBodiless: (status) => this.isBodiless(status),
      onAnswer: (answer) => this.onAnswer(answer),
      onStream: (answer) => this.onStream(answer),
      onBreach: (what) => this.fail(`no HTTP: ${what}`),
    });
    this.socket = connect({ port: options.server.port, host: '127.0.0.1', noDelay: true });
    // Told by the close that follows.
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk) => this.onData(chunk.toString('latin1')));
    this.socket.once('close', () => this.onClose());
  }

  /** Runs one connection to its end. */
  static async run(options: HttpOptions): Promise<void> {
    const connection = new HttpConnection(options);
    try {
      await connection.run();
    } finally {
      connection.patience.end();
      connection.socket.destroy();
    }
  }

  private async run(): Promise<void> {
    const { dice, world, tally } = this.options;
    this.isPipelined = dice.chance(0.3);
    const count = dice.oneOf([1, 1, 2, 4]);
    const waiting: Buffer[] = [];
    for (let n = 0; n < count && !this.patience.isOver && !this.isStreaming && !this.isClosing; n += 1) {
      const request = anyRequest(dice, world);
      this.due.push(request);
      this.sent.push(request);
      tally.count('sent', request.kind);
      waiting.push(request.bytes);
      if (this.isPipelined && !request.isLast && n < count - 1) continue;
      await this.write(Buffer.concat(waiting.splice(0)));
      // A request that is not all there is answered when no more comes, if at all.
      if (request.kind === 'half a request') {
        if (dice.chance(0.5)) this.leave(dice.chance(0.5));
        else this.socket.end();
      } else if (dice.chance(0.05)) this.leave(dice.chance(0.5));
      await this.until(() => this.due.length === 0 || this.isStreaming);
      if (request.isLast) break;
    }
    if (!this.patience.isOver && dice.chance(0.3)) {
      this.socket.end();
      await this.until(() => false);
    } else this.leave(dice.chance(0.3));
  }

  private async write(bytes: Buffer): Promise<void> {
    const { dice } = this.options;
    const isBytewise = bytes.length < 1500 && dice.chance(0.1);
    const isWhole = dice.chance(0.7);
    this.wasLong = !isWhole || bytes.length > 16_384;
    const pieces = isWhole ? [bytes] : dice.cut(bytes, isBytewise ? bytes.length : dice.between(2, 10));
    for (const piece of pieces) {
      if (this.socket.destroyed) return;
      await new Promise<void>((resolve) => this.socket.write(piece, () => resolve()));
    }
  }

  private onData(text: string): void {
    if (this.patience.isOver) return;
    const leak = this.options.server.leakIn(text);
    if (leak === undefined) this.reader.read(text);
    else this.fail(`${leak}: ${text.slice(0, 1000)}`);
  }

  private onAnswer(answer: HttpAnswer): void {
    const { status } = answer;
    const [request] = this.due;
    // What is wrong with a body may come out after its request was answered.
    if (!request && status === 400 && this.sent.at(-1)?.isLast && this.sent.at(-1)?.maySilentlyClose) return;
    if (!request) return this.fail(`an answer to nothing: ${status} ${answer.body}`);
    // Of several in a row one that is no request, or an upgrade, may be all that is answered.
    const isExpected = request.statuses.includes(status) || (this.options.isLimited && status === 429);
    const isRefusal =
      !isExpected &&
      [400, 404].includes(status) &&
      this.due.some((later) => later.isLast && later.statuses.includes(status));
    if (!isExpected && !isRefusal) {
      return this.fail(`${status}, not ${request.statuses.join(' or ')}: ${answer.body.slice(0, 500)}`);
    }
    this.options.tally.count('came', `${status}`);
    const wrong =
      request.isHead && status === 200 && isStream(answer)
        ? wrongWithStream(answer)
        : wrongWithError(answer, this.isBodiless(status));
    if (wrong !== undefined) return this.fail(`${wrong} in ${status} ${answer.body.slice(0, 500)}`);
    this.isClosing = answer.headers.get('connection')?.toLowerCase() === 'close';
    if (isRefusal || this.isClosing) this.due.length = 0;
    else this.due.shift();
    this.patience.look();
  }

  /** A HEAD's answer has no body; a refusal of what was sent right behind it has one. */
  private isBodiless(status: number): boolean {
    const [request] = this.due;
    if (request?.isHead !== true) return false;
    return request.statuses.includes(status) || ![400, 404].includes(status) || this.due.length === 1;
  }

  private onStream(answer: HttpAnswer): void {
    const [request] = this.due;
    if (!request?.statuses.includes(200)) return this.fail('a stream that nobody may have');
    const wrong = wrongWithStream(answer);
    if (wrong !== undefined) return this.fail(`${wrong} in a stream`);
    if (!this.isStreaming) this.options.tally.count('came', 'stream');
    this.isStreaming = true;
    this.patience.look();
  }

  private onClose(): void {
    if (this.patience.isOver) return;
    const { leftover } = this.reader;
    // One that breaks off what was sent right before it takes the others' answers with it.
    const isBrokenOff = this.isPipelined && this.sent.length > 1 && this.due.at(-1)?.isLast;
    // The last answer is lost on the way where more comes that the server does not read any more: TCP resets (RFC 9112 §9.6).
    const [request] = this.due;
    const hasMore = request?.statuses.includes(400) || !request?.bytes.toString('latin1').endsWith('\r\n\r\n');
    const mayBeLost = request?.isLast && hasMore && this.wasLong;
    const mayClose = !request || this.isStreaming || isBrokenOff || request.maySilentlyClose || mayBeLost;
    if (leftover !== '') this.fail(`broke off in the middle of an answer: ${leftover.slice(0, 500)}`);
    else if (!mayClose) this.fail('closed without an answer');
    else if (this.due.length > 0 && !this.isStreaming) this.options.tally.count('came', 'closed');
    this.patience.end();
  }

  private leave(withReset: boolean): void {
    this.patience.end();
    if (withReset) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  private async until(isSo: () => boolean): Promise<void> {
    if (!(await this.patience.until(isSo))) this.fail('silence');
  }

  private fail(what: string): void {
    if (this.patience.isOver) return;
    const requests = this.sent.map(
      ({ kind, bytes }) => `${kind}: ${JSON.stringify(bytes.toString('latin1').slice(0, 600))}`,
    );
    this.options.tally.fail(`${what}\n  after ${requests.join('\n  and ')}`);
    this.leave(false);
  }
}
