import { EVENT_TYPES } from '../../src/events/catalogue.js';
import { SocketLine, StreamLine, type Farewell, type Line, type Wish } from './crowd-lines.js';
import { Dice } from './random.js';

const FAREWELLS: readonly Farewell[] = ['close', 'destroy', 'reset'];
const FILTERS = ['user.*', 'login.*', 'email.*', 'password.*', 'mfa.*', 'api_key.*', 'account.*', ...EVENT_TYPES];

/** An account as its clients know it. */
export interface Account {
  id: string;
  email: string;
  role: 'user' | 'admin';
  token: string;
}

/** What the clients of a crowd share. */
export interface Crowd {
  readonly seed: number;
  /** Of the server. */
  readonly url: string;
  /** How many events there will be. */
  readonly events: number;
  /** How many there are. */
  published: number;
  /** True once nobody leaves any more. */
  isOver: boolean;
  /** How many are on their way, or waiting for what they missed. */
  coming: number;
  /** How often somebody came back, left before it had what it missed, asked for something else, or was too slow. */
  readonly tally: Record<'resumes' | 'leftEarly' | 'swaps' | 'slow', number>;
  /** What came that never should. */
  readonly complaints: string[];
}

/** One client over all of its connections; what it does next depends on its own seed alone. */
export class CrowdMember {
  /** The ids of all events it has processed. */
  readonly received: string[] = [];
  /** What it has asked for, each until the cursor of the next. */
  readonly wishes: Wish[] = [];
  /** Whether it never comes back. */
  isGone = false;
  line: Line | undefined;
  private readonly dice: Dice;
  private readonly transport: 'WebSocket' | 'SSE';
  private filters: string[];
  /** How many events there are when it does something next. */
  private due = 0;
  /** How many more events it takes before it leaves. */
  private leavesAfter = Number.POSITIVE_INFINITY;
  private isComing = false;
  /** Whether it has stopped reading. */
  private isStalled = false;

  /** @param start - the id of the event after which everything is due to it. */
  constructor(
    private readonly crowd: Crowd,
    private readonly number: number,
    readonly account: Account,
    private readonly start: string,
  ) {
    this.dice = new Dice(crowd.seed + 1 + number);
    this.transport = this.dice.oneOf(['WebSocket', 'SSE'] as const);
    this.filters = randomFilters(this.dice);
  }

  /** Leaves, comes back, reads no more or again, or asks for something else, if it is time. */
  act(): void {
    const { crowd, dice } = this;
    if (this.isGone || crowd.published < this.due) return;
    if (!this.line || this.isStalled) return this.come();
    if (dice.chance(0.2)) return this.stall();
    if (this.line.swap && !this.isComing && dice.chance(0.4)) {
      this.due = crowd.published + dice.below(crowd.events / 3);
      this.mark(true);
      return this.line.swap();
    }
    this.isGone = dice.chance(0.01);
    this.go();
  }

  /** Reads again; one that is away connects, and asks for everything since the last event it has processed. */
  come(): void {
    const { crowd, dice } = this;
    this.due = crowd.published + dice.below(crowd.events / 3);
    if (this.isStalled) this.line?.resume();
    this.isStalled = false;
    if (this.line || this.isGone) return;
    this.leavesAfter = dice.chance(0.3) ? dice.below(30) : Number.POSITIVE_INFINITY;
    if (this.wishes.length > 0) crowd.tally.resumes += 1;
    this.mark(true);
    this.connect(this.wish());
  }

  /** Reads no more for a while. */
  private stall(): void {
    const { crowd, dice } = this;
    this.due = crowd.published + dice.below(dice.chance(0.7) ? crowd.events / 8 : crowd.events);
    this.mark(false);
    this.isStalled = true;
    this.line?.pause();
  }

  private go(): void {
    const { crowd, dice } = this;
    if (this.isComing) crowd.tally.leftEarly += 1;
    this.due = crowd.published + dice.below(crowd.events / 8);
    this.mark(false);
    this.line?.leave(dice.oneOf(FAREWELLS));
    this.line = undefined;
    this.isStalled = false;
  }

  private connect(wish: Wish): void {
    const { crowd, account } = this;
    const leaveIfEnough = (): void => {
      if (this.leavesAfter === 0 && !crowd.isOver) this.go();
    };
    this.line = new (this.transport === 'SSE' ? StreamLine : SocketLine)(
      { url: crowd.url, token: account.token },
      wish,
      {
        asked: () => {
          leaveIfEnough();
          if (this.line && this.dice.chance(0.15) && !crowd.isOver) this.stall();
        },
        arrived: () => this.mark(false),
        event: (id) => {
          this.received.push(id);
          this.leavesAfter -= 1;
          leaveIfEnough();
        },
        cut: () => {
          crowd.tally.swaps += 1;
          return this.wish();
        },
        tooSlow: () => {
          crowd.tally.slow += 1;
          this.line = undefined;
          this.come();
        },
        broken: (why) => {
          this.mark(false);
          crowd.complaints.push(`${String(this)}: ${why}`);
        },
      },
    );
  }

  /** Goes on from the last event it has processed, at times with other filters. */
  private wish(): Wish {
    if (this.dice.chance(0.3)) this.filters = randomFilters(this.dice);
    const wish = { after: this.received.at(-1) ?? this.start, filters: this.filters };
    this.wishes.push(wish);
    return wish;
  }

  private mark(isComing: boolean): void {
    this.crowd.coming += Number(isComing) - Number(this.isComing);
    this.isComing = isComing;
  }

  toString(): string {
    return `client ${this.number} (${this.transport}, ${this.account.role} ${this.account.id})`;
  }
}

function randomFilters(dice: Dice): string[] {
  const filters = Array.from({ length: 1 + dice.below(4) }, () => dice.oneOf(FILTERS));
  if (dice.chance(0.3)) filters.splice(dice.below(filters.length), 1, '*');
  return [...new Set(filters)];
}
