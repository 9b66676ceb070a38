import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { z } from 'zod';
import { AppError } from '../common/app-error.js';
import { Config } from '../config/config.js';

/** Injection token of the keys, the signing one first. */
export const JWT_KEYS = Symbol('jwt keys');

const ISSUER = 'herald';
/** The `typ` header (RFC 8725 §3.11, RFC 9068 §2.1): a token made for anything else never passes for an access token. */
const TYPE = 'at+jwt';

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
  constructor(
    private readonly jwt: JwtService,
    private readonly config: Config,
    @Inject(JWT_KEYS) private readonly keys: readonly [string, ...string[]],
  ) {}

  /** Signs a token for a session. */
  sign(userId: string, sessionId: string): string {
    return this.jwt.sign(
      { sid: sessionId },
      {
        secret: this.keys[0],
        algorithm: 'HS256',
        header: { alg: 'HS256', typ: TYPE },
        subject: userId,
        issuer: ISSUER,
        expiresIn: Math.ceil(this.config.JWT_EXPIRES_IN / 1000),
      },
    );
  }

  /** @throws AppError UNAUTHORIZED for anything that is not a valid access token of this service. */
  verify(token: string): AccessTokenClaims {
    for (const secret of this.keys) {
      const verified = this.tryKey(token, secret);
      if (verified) return verified;
    }
    throw new AppError('UNAUTHORIZED', 'The access token is not valid or has expired');
  }

  private tryKey(token: string, secret: string): AccessTokenClaims | undefined {
    let decoded: { header: { typ?: string }; payload: unknown };
    try {
      decoded = this.jwt.verify(token, { secret, algorithms: ['HS256'], issuer: ISSUER, complete: true });
    } catch {
      // Not signed with this key, or not valid at all: the caller decides once every key was tried.
      return undefined;
    }
    const { success, data } = claims.safeParse(decoded.payload);
    if (!success || decoded.header.typ !== TYPE) return undefined;
    return { userId: data.sub, sessionId: data.sid, expiresAt: data.exp * 1000 };
  }
}
