import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import { Config } from '../config/config.js';
import { keptSecret } from './kept-secret.js';

const ALGORITHM = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts secrets that must be stored and read again (AES-256-GCM, NIST SP 800-38D) under `DATA_KEY`.
 *
 * Without that key, which only development allows, a random one is made once and kept beside the database.
 */
@Injectable()
export class SecretCipher {
  private readonly key: Buffer;

  constructor(config: Config) {
    const text =
      config.DATA_KEY ??
      keptSecret(config.keptSecretFile('data-key'), 32, (file) =>
        new Logger(SecretCipher.name).warn(`DATA_KEY is not set: made a random one for development, kept in ${file}`),
      );
    this.key = Buffer.from(text, 'base64');
  }

  /**
   * Encrypts a text.
   *
   * @param owner - what the secret belongs to, such as the id of its row: decrypting asks for the same, so that a
   * ciphertext moved to another row is refused.
   */
  encrypt(text: string, owner: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.key, iv).setAAD(Buffer.from(owner));
    const sealed = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `v1.${sealed.toString('base64')}`;
  }

  /** Returns a key of 32 bytes for a purpose of its own (HKDF-SHA256, RFC 5869). */
  deriveKey(purpose: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.key, '', purpose, 32));
  }

  /** Decrypts what {@link encrypt} returned. @throws Error when the key is another one, or the text was changed. */
  decrypt(sealed: string, owner: string): string {
    const bytes = Buffer.from(sealed.slice('v1.'.length), 'base64');
    const decipher = createDecipheriv(ALGORITHM, this.key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(owner)).setAuthTag(bytes.subarray(-TAG_BYTES));
    try {
      const text = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
      return text.toString('utf8');
    } catch (cause) {
      throw new Error('A stored secret cannot be decrypted: DATA_KEY is not the one it was stored under', { cause });
    }
  }
}
