import { createSecretKey } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';

/** Injection token of the keys, the signing one first. */
export const JWT_KEYS = Symbol('jwt keys');

const ISSUER = 'herald';
/** Whom the tokens are for (RFC 8725 §3.9): another service that shares the key takes them for its own no more than we do its. */
const AUDIENCE = 'herald';
/** The `typ` header (RFC 8725 §3.11, RFC 9068 §2.1): a token made for anything else never passes for an access token. */
const TYPE = 'at+jwt';

/** The same for the token that a login hands out until its second factor is shown. */
const MFA_TYPE = 'mfa+jwt';
const MFA_LIFETIME_SECONDS = 300;

/** How many verified tokens are remembered, at some 500 bytes each. */
const MAX_VERIFIED = 20_000;

const mfaClaims = z.object({ sub: z.uuid(), pwd: z.string() });
const claims = z.object({ sub: z.uuid(), sid: z.uuid(), exp: z.number() });

/** What a valid access token says. */
export interface AccessTokenClaims {
  userId: string;
  sessionId: string;
  /** Epoch milliseconds. */
  expiresAt: number;
}

/** Signs and verifies access tokens: HS256 JWTs that name the account and the session. */
@Injectable()
export class AccessTokensService {
  private readonly keys: readonly [Secret, ...Secret[]];
  /** Tokens that were found good: a signature that holds, holds until the token expires. */
  private readonly verified = new Map<string, AccessTokenClaims>();

  constructor(
    private readonly jwt: JwtService,
    private readonly config: Config,
    @Inject(JWT_KEYS) secrets: readonly [string, ...string[]],
  ) {
    const [signing, ...others] = secrets;
    // Made once: from a string the library would try a public key first, for every token.
    this.keys = [keyFrom(signing), ...others.map(keyFrom)];
  }

  /** Signs a token for a session, which it does not outlive. @param endsAt - the latest end of the session, in epoch ms. */
  sign(userId: string, sessionId: string, endsAt: number): string {
    const lifetimeMs = Math.min(this.config.JWT_EXPIRES_IN, endsAt - Date.now());
    return this.signAs(TYPE, userId, { sid: sessionId }, Math.max(1, Math.ceil(lifetimeMs / 1000)));
  }

  /** @throws AppError UNAUTHORIZED for anything that is not a valid access token of this service. */
  verify(token: string): AccessTokenClaims {
    const known = this.verified.get(token);
    if (known && known.expiresAt > Date.now()) return known;
    const { sub, sid, exp } = this.verifyAs(TYPE, token, claims);
    const verified = { userId: sub, sessionId: sid, expiresAt: exp * 1000 };
    if (this.verified.size >= MAX_VERIFIED) this.verified.clear();
    this.verified.set(token, verified);
    return verified;
  }

  /**
   * Signs a token that says that a password was right, and is good for nothing but showing the second factor.
   *
   * @param password - names the password that was right, so that the token ends with it.
   */
  signMfa(userId: string, password: string): string {
    return this.signAs(MFA_TYPE, userId, { pwd: password }, MFA_LIFETIME_SECONDS);
  }

  /** @throws AppError UNAUTHORIZED for anything that is not a valid token of {@link signMfa}. */
  verifyMfa(token: string): { userId: string; password: string } {
    const { sub, pwd } = this.verifyAs(MFA_TYPE, token, mfaClaims);
    return { userId: sub, password: pwd };
  }

  private signAs(type: string, subject: string, payload: object, expiresIn: number): string {
    const [secret] = this.keys;
    const header = { alg: 'HS256', typ: type } as const;
    const about = { subject, issuer: ISSUER, audience: AUDIENCE, expiresIn };
    return this.jwt.sign(payload, { secret, algorithm: 'HS256', header, ...about });
  }

  private verifyAs<T>(type: string, token: string, schema: z.ZodType<T>): T {
    for (const secret of this.keys) {
      const decoded = this.tryKey(token, secret);
      const parsed = decoded?.header.typ === type ? schema.safeParse(decoded.payload) : undefined;
      if (parsed?.success) return parsed.data;
    }
    throw new AppError('UNAUTHORIZED', 'The token is not valid or has expired');
  }

  private tryKey(token: string, secret: Secret): { header: { typ?: string }; payload: unknown } | undefined {
    try {
      const expected = { issuer: ISSUER, audience: AUDIENCE };
      return this.jwt.verify(token, { secret, algorithms: ['HS256'], ...expected, complete: true });
    } catch {
      // Not signed with this key, or not valid at all: the caller decides once every key was tried.
      return undefined;
    }
  }
}

/** What the library takes for a key; its own type leaves a KeyObject out. */
type Secret = Buffer;

function keyFrom(secret: string): Secret {
  return createSecretKey(secret, 'utf8') as unknown as Secret;
}
