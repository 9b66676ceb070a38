import { Api, type Answer, type Tokens } from '../support/api.js';

const PASSWORDS = ['Correct-horse-1', 'Another-horse-2'] as const;

/** Something a worker did, and the event it must, or when the answer never came may, have led to. */
export interface Act {
  type: string;
  /** The payload; unknown for a registration whose answer never came. */
  payload: Record<string, unknown> | undefined;
  acknowledged: boolean;
  /** Asks the service whether the act has changed what it was to change; undefined where nothing would show it. */
  tookEffect?: (api: Api) => Promise<boolean>;
}

/** A registration whose answer never came. */
export interface LostRegistration {
  email: string;
  password: string;
}

/** An account as its worker knows it. */
export interface Account {
  id: string;
  email: string;
  password: string;
  tokens: Tokens | undefined;
}

/**
 * Does one act after the other on accounts of its own, and keeps the record of what was acknowledged.
 *
 * An account with an unanswered act is left alone from then on, so that its state still shows, after the last crash,
 * whether the act was committed: state and journal must agree on that.
 */
export class Worker {
  readonly acts: Act[] = [];
  readonly accounts: Account[] = [];
  readonly deleted: Account[] = [];
  readonly lostRegistrations: LostRegistration[] = [];
  /** Every address the worker has ever used: what tells its events from the others'. */
  readonly emails = new Set<string>();
  readonly ids = new Set<string>();

  constructor(
    private readonly name: string,
    private readonly random: () => number,
    private readonly onAcknowledged: () => void,
    /** Whether an answer of 5xx is none: the database was away, and nobody can say whether the act was committed. */
    private readonly allowsFailures = false,
  ) {}

  /** Acts until the server is gone, or until it is told to stop. */
  async run(url: string, isOver: () => boolean = () => false): Promise<void> {
    const api = new Api(`${url}/api/v1`);
    while (!isOver() && (await this.act(api)));
  }

  /** Does one act. Returns false when no answer came. */
  private async act(api: Api): Promise<boolean> {
    const account = this.accounts[Math.floor(this.random() * this.accounts.length)];
    const dice = this.random();
    if (!account || dice < 0.15) return this.register(api);
    if (dice < 0.3) return this.failLogin(api, account);
    if (!account.tokens || dice < 0.45) return this.login(api, account);
    if (dice < 0.7) return this.changeEmail(api, account, account.tokens);
    if (dice < 0.8) return this.changePassword(api, account, account.tokens);
    if (dice < 0.92) return this.logout(api, account, account.tokens);
    return this.delete(api, account, account.tokens);
  }

  private async register(api: Api): Promise<boolean> {
    const [email, [password]] = [this.newEmail(), PASSWORDS];
    const act: Act = { type: 'user.registered', payload: undefined, acknowledged: false };
    const answer = await this.attempt(act, 201, () => api.post('/auth/register', { email, password }));
    if (!answer) {
      this.lostRegistrations.push({ email, password });
      return false;
    }
    const tokens = answer.body.data as Tokens;
    const id = subjectOf(tokens.accessToken);
    act.payload = { userId: id };
    this.ids.add(id);
    this.accounts.push({ id, email, password, tokens });
    return true;
  }

  private async login(api: Api, account: Account): Promise<boolean> {
    const { id, email, password } = account;
    const answer = await this.on(account, 'login.success', { userId: id, email }, 200, () =>
      api.post('/auth/login', { email, password }),
    );
    if (answer) account.tokens = answer.body.data as Tokens;
    return answer !== undefined;
  }

  private async failLogin(api: Api, account: Account): Promise<boolean> {
    const { email } = account;
    const wrong = () => api.post('/auth/login', { email, password: 'Wrong-horse-9' });
    return (await this.on(account, 'login.failed', { email }, 401, wrong)) !== undefined;
  }

  private async changeEmail(api: Api, account: Account, { accessToken }: Tokens): Promise<boolean> {
    const email = this.newEmail();
    const answer = await this.on(
      account,
      'user.updated',
      { userId: account.id, fields: ['email'] },
      200,
      () => api.patch('/users/me', { email }, accessToken),
      async (later) => (await later.get('/users/me', accessToken)).body.data?.email === email,
    );
    if (answer) account.email = email;
    return answer !== undefined;
  }

  private async changePassword(api: Api, account: Account, { accessToken }: Tokens): Promise<boolean> {
    const password = account.password === PASSWORDS[0] ? PASSWORDS[1] : PASSWORDS[0];
    const answer = await this.on(
      account,
      'password.changed',
      { userId: account.id },
      200,
      () => api.patch('/users/me', { password, currentPassword: account.password }, accessToken),
      async (later) => (await later.post('/auth/login', { email: account.email, password })).status === 200,
    );
    if (answer) account.password = password;
    return answer !== undefined;
  }

  private async logout(api: Api, account: Account, { accessToken, refreshToken }: Tokens): Promise<boolean> {
    const answer = await this.on(
      account,
      'logout',
      { userId: account.id },
      204,
      () => api.post('/auth/logout', { refreshToken }, accessToken),
      async (later) => (await later.get('/users/me', accessToken)).status === 401,
    );
    account.tokens = undefined;
    return answer !== undefined;
  }

  private async delete(api: Api, account: Account, { accessToken }: Tokens): Promise<boolean> {
    const answer = await this.on(
      account,
      'user.deleted',
      { userId: account.id },
      204,
      () => api.delete('/users/me', accessToken),
      async (later) => (await later.get('/users/me', accessToken)).status === 401,
    );
    this.forget(account);
    if (answer) this.deleted.push(account);
    return answer !== undefined;
  }

  private async on(
    account: Account,
    type: string,
    payload: Record<string, unknown>,
    status: number,
    call: () => Promise<Answer>,
    tookEffect?: NonNullable<Act['tookEffect']>,
  ): Promise<Answer | undefined> {
    const act: Act = { type, payload, acknowledged: false, ...(tookEffect && { tookEffect }) };
    const answer = await this.attempt(act, status, call);
    if (!answer) this.forget(account);
    return answer;
  }

  /** Records the act before it is tried, and whether it was answered. Another answer than the due one is a failure. */
  private async attempt(act: Act, status: number, call: () => Promise<Answer>): Promise<Answer | undefined> {
    this.acts.push(act);
    let answer: Answer;
    try {
      answer = await call();
    } catch {
      // The connection broke: the server was killed. The act may or may not have been committed.
      return undefined;
    }
    if (this.allowsFailures && answer.status >= 500) return undefined;
    if (answer.status !== status)
      throw new Error(`${act.type} answered ${answer.status} ${JSON.stringify(answer.body)}`);
    act.acknowledged = true;
    this.onAcknowledged();
    return answer;
  }

  private forget(account: Account): void {
    const index = this.accounts.indexOf(account);
    if (index >= 0) this.accounts.splice(index, 1);
  }

  private newEmail(): string {
    const email = `${this.name}-${this.emails.size}@example.com`;
    this.emails.add(email);
    return email;
  }
}

/** Reads whose token it is. */
export function subjectOf(accessToken: string): string {
  const claims = Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString();
  return (JSON.parse(claims) as { sub: string }).sub;
}
