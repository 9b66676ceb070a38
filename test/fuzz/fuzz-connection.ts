import type { FuzzDice, Weighted } from './dice.js';
import { closePayload, fragmented, frame, OPCODE, violations } from './frames.js';
import type { FuzzedServer } from './fuzzed-server.js';
import { anyMessage, authMessage, type World } from './messages.js';
import { Patience } from './patience.js';
import { ProtocolModel, wrongWithAnswer, wrongWithEvent, type Expected, type TextMessage } from './protocol-model.js';
import { handshake, RawWebSocket } from './raw-web-socket.js';
import type { Tally } from './tally.js';

/** A message longer than this is not sent byte by byte: the server takes 256 pieces of one, no more. */
const MAX_BYTEWISE = 250;

/** How a connection ends, and whether its client waits for its answers before that. */
type Ending = 'close' | 'violation' | 'cut' | 'reset' | 'finish';

/** Close codes that a client may send (RFC 6455 §7.4). */
const CLIENT_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4000, 4999];

interface Due {
  expected: Expected;
  /** What was sent, for the report. */
  sent: TextMessage;
}

export interface ConnectionOptions {
  server: FuzzedServer;
  dice: FuzzDice;
  world: World;
  tally: Tally;
  /** A ticket that is good, and is used in the URL. */
  ticket?: string | undefined;
  /** The server counts messages, and may close for that at any time. */
  isLimited?: boolean;
}

/** One client: a decent handshake, bursts of messages and frames, and an end; it checks everything that comes back. */
export class FuzzConnection {
  private readonly model: ProtocolModel;
  private readonly client: RawWebSocket;
  private readonly due: Due[] = [];
  private readonly duePongs: Buffer[] = [];
  private readonly history: string[] = [];
  /** Codes one of which must close the connection; before that, answers may be missing. */
  private closeCodes: readonly number[] | undefined;
  private replayed: number | undefined;
  private readonly patience = new Patience();

  private constructor(private readonly options: ConnectionOptions) {
    const { server, world, dice } = options;
    this.model = new ProtocolModel(world.credentials, (id) => world.cursors.includes(id));
    this.client = new RawWebSocket(
      server.port,
      {
        onOpen: () => this.options.tally.count('came', 'handshake'),
        onText: (text) => this.onText(text),
        onPong: (payload) => this.onPong(payload),
        onClose: (code) => this.onClose(code),
        onBreach: (what) => this.fail(`the server broke the protocol: ${what}`),
        onEnd: (answer) => this.onEnd(answer),
      },
      (payload) => frame(dice, OPCODE.pong, payload),
    );
  }

  /** Runs one connection to its end. */
  static async run(options: ConnectionOptions): Promise<void> {
    const connection = new FuzzConnection(options);
    try {
      await connection.run();
    } finally {
      connection.client.cut(false);
    }
  }

  private async run(): Promise<void> {
    const { dice, ticket } = this.options;
    const path = ticket === undefined ? dice.oneOf(['/ws', '/ws?', '/ws?x=1&x=2', '/ws#a']) : `/ws?ticket=${ticket}`;
    const open = Buffer.from(
      handshake(path, dice.oneOf(['', 'Origin: null\r\n', 'Sec-WebSocket-Extensions: permessage-deflate\r\n'])),
    );
    if (ticket !== undefined) {
      this.due.push({ expected: this.model.authenticate(), sent: { kind: 'ticket in the URL', text: '' } });
      await this.send([open]);
      await this.settled();
    }
    const isTiny = dice.chance(0.05);
    const bursts = isTiny ? 1 : dice.between(1, 3);
    for (let n = 0; n < bursts && !this.patience.isOver; n += 1) {
      const frames: Buffer[] = n === 0 && ticket === undefined ? [open] : [];
      if (n === 0 && ticket === undefined && dice.chance(0.85))
        frames.push(this.text(authMessage(dice, this.options.world)));
      const size = isTiny ? dice.between(1, 4) : dice.between(1, 50);
      for (let m = 0; m < size; m += 1) frames.push(this.next());
      // The last burst and what ends the connection may come together.
      if (n === bursts - 1 && dice.chance(0.3)) return this.end(frames);
      await this.send(frames);
      await this.settled();
    }
    await this.end([]);
  }

  /** Makes the next message or frame, and takes note of what is due for it. */
  private next(): Buffer {
    const { dice, world } = this.options;
    return dice.weighted<() => Buffer>([
      [90, () => this.text(anyMessage(dice, world))],
      [
        3,
        () => {
          const payload = dice.bytes(dice.between(0, 125));
          this.note('ping frame');
          this.duePongs.push(payload);
          return frame(dice, OPCODE.ping, payload);
        },
      ],
      [
        1,
        () => {
          this.note('pong frame');
          return frame(dice, OPCODE.pong, dice.bytes(dice.between(0, 125)));
        },
      ],
      [
        2,
        () => {
          this.note('binary message');
          this.due.push({ expected: this.model.binary(), sent: { kind: 'binary message', text: '' } });
          const payload = dice.bytes(dice.between(0, 300));
          return dice.chance(0.5) ? frame(dice, OPCODE.binary, payload) : this.fragments(OPCODE.binary, payload);
        },
      ],
    ])();
  }

  /** Makes a text message, in one frame or several. */
  private text(message: TextMessage): Buffer {
    const { dice } = this.options;
    this.note(message.kind);
    for (const expected of this.model.answersTo(message)) this.due.push({ expected, sent: message });
    const payload = Buffer.from(message.text);
    if (dice.chance(0.1)) return this.fragments(OPCODE.text, payload);
    // A length may be written longer than it need be, and the server does not mind.
    if (dice.chance(0.02)) return frame(dice, OPCODE.text, payload, { lengthBits: 64 });
    return frame(dice, OPCODE.text, payload);
  }

  private fragments(opcode: number, payload: Buffer): Buffer {
    const { dice, tally } = this.options;
    const { bytes, pings } = fragmented(dice, opcode, payload, dice.between(2, 30));
    this.duePongs.push(...pings);
    tally.count('also', 'in fragments');
    return bytes;
  }

  /** Ends the connection in one of the ways there are; `frames` go out in the same breath. */
  private async end(frames: Buffer[]): Promise<void> {
    const { dice, tally } = this.options;
    const isHasty = frames.length > 0;
    const ending = dice.weighted<Ending>([
      [3, 'close'],
      [8, 'violation'],
      [1, 'cut'],
      [1, 'reset'],
      [1, 'finish'],
    ] satisfies Weighted<Ending>[]);
    if (ending === 'violation') {
      const kind = dice.oneOf(Object.keys(violations));
      const { bytes, codes, pings = [] } = (violations[kind] as (typeof violations)[string])(dice);
      this.note(kind);
      this.closeCodes = codes;
      this.duePongs.push(...pings);
      // What follows is not looked at any more.
      await this.send([...frames, bytes, ...(dice.chance(0.3) ? [dice.bytes(50)] : [])], true);
    } else if (ending === 'close') {
      const code = dice.oneOf([...CLIENT_CODES, undefined]);
      this.note('close frame');
      this.closeCodes = [code ?? 1005];
      const payload = code === undefined ? Buffer.alloc(0) : closePayload(code, dice.text(40));
      await this.send([...frames, frame(dice, OPCODE.close, payload)], true);
    } else {
      this.closeCodes = [];
      this.note(ending === 'finish' ? 'end of stream' : `${ending} of the connection`);
      const part = frame(dice, OPCODE.text, Buffer.from('{"type":"ping"}'));
      if (dice.chance(0.5)) frames.push(part.subarray(0, dice.between(1, part.length - 1)));
      await this.send(frames, true);
      if (ending === 'finish') this.client.finish();
      else this.client.cut(ending === 'reset');
    }
    await this.until(() => this.patience.isOver, `the end after ${this.history.at(-1)}`);
    tally.count('also', isHasty ? 'ended in haste' : 'ended in turn');
  }

  /** Writes frames: at once, in pieces, or byte by byte. */
  private async send(frames: readonly Buffer[], mayBreak = false): Promise<void> {
    const { dice } = this.options;
    const bytes = Buffer.concat(frames);
    const isShort = bytes.length < 1500 && frames.every(({ length }) => length <= MAX_BYTEWISE);
    let pieces: readonly Buffer[] = [bytes];
    if (isShort && !mayBreak && dice.chance(0.3)) pieces = Array.from(bytes, (byte) => Buffer.from([byte]));
    else if (dice.chance(0.3)) pieces = dice.cut(bytes, dice.between(2, 20));
    for (const piece of pieces) await this.client.write(piece);
  }

  private onText(text: string): void {
    const { server, tally } = this.options;
    const leak = server.leakIn(text);
    if (leak !== undefined) return this.fail(`${leak}: ${text.slice(0, 500)}`);
    let answer: Record<string, unknown>;
    try {
      answer = JSON.parse(text) as Record<string, unknown>;
    } catch {
      return this.fail(`no JSON: ${text.slice(0, 500)}`);
    }
    if (answer['type'] === 'event') return this.onEvent(answer);
    const next = this.due.shift();
    if (!next) return this.fail(`an answer to nothing: ${text.slice(0, 500)}`);
    const wrong = wrongWithAnswer(answer, next.expected);
    if (wrong !== undefined)
      return this.fail(`${next.sent.kind} ${next.sent.text.slice(0, 500)} got ${text.slice(0, 500)}: ${wrong}`);
    if (next.expected.type === 'replayed' && answer['count'] !== this.replayed) {
      return this.fail(`replayed says ${String(answer['count'])} after ${this.replayed} events`);
    }
    this.replayed = this.due[0]?.expected.type === 'replayed' ? 0 : undefined;
    tally.count('came', answer['type'] === 'auth' ? `auth ${String(answer['ok'])}` : next.expected.type);
    this.patience.look();
  }

  private onEvent(message: Record<string, unknown>): void {
    const wrong = wrongWithEvent(message, this.model.owner);
    if (wrong !== undefined) return this.fail(wrong);
    if (this.replayed !== undefined) this.replayed += 1;
    this.options.tally.count('came', 'event');
  }

  private onPong(payload: Buffer): void {
    const due = this.duePongs.shift();
    if (!due?.equals(payload)) return this.fail(`a pong of ${payload.toString('hex')}, not ${due?.toString('hex')}`);
    this.options.tally.count('came', 'pong frame');
    this.patience.look();
  }

  private onClose(code: number): void {
    const { tally } = this.options;
    tally.count('came', `closed ${code}`);
    if (this.options.isLimited && code === 1008) this.closeCodes = [code];
    if (!this.closeCodes) this.fail(`closed with ${code} for nothing`);
    else if (this.closeCodes.length > 0 && !this.closeCodes.includes(code)) {
      this.fail(`closed with ${code}, not ${this.closeCodes.join(' or ')}`);
    }
    this.closeCodes = [];
    this.client.finish();
  }

  private onEnd(answer: string | undefined): void {
    if (this.patience.isOver) return;
    if (answer !== undefined && this.closeCodes?.length !== 0) this.fail(`no handshake, but ${answer.slice(0, 500)}`);
    else if (!this.closeCodes) this.fail('cut off for nothing');
    else if (this.closeCodes.length > 0) this.fail(`cut off, not closed with ${this.closeCodes.join(' or ')}`);
    this.patience.end();
  }

  private note(kind: string): void {
    this.history.push(kind);
    this.options.tally.count('sent', kind);
  }

  /** Resolves once everything that is due has come. */
  private settled(): Promise<void> {
    return this.until(() => this.due.length === 0 && this.duePongs.length === 0, 'answers');
  }

  private async until(isSo: () => boolean, what: string): Promise<void> {
    if (await this.patience.until(isSo)) return;
    this.fail(`silence: ${what} did not come; due ${JSON.stringify(this.due[0])?.slice(0, 500)}`);
  }

  private fail(what: string): void {
    if (this.patience.isOver) return;
    this.options.tally.fail(`${what}\n  after: ${this.history.slice(-20).join(', ')}`);
    this.patience.end();
    this.client.cut(false);
  }
}
