import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../test/support/random.js';
import type { DomainEvent } from './domain-event.js';
import { RecentEvents } from './recent-events.js';

const event = (seq: number, type = 'logout', subject = 'u') =>
  ({ seq, type, subject, payload: {}, origin: { userAgent: null } }) as unknown as DomainEvent;
const seqs = (events: DomainEvent[] | undefined) => events?.map(({ seq }) => seq);

describe('RecentEvents', () => {
  it('says nothing of what it may have missed', () => {
    const recent = new RecentEvents(1_000_000);
    expect(recent.read({ afterSeq: 0, limit: 9 })).toBeUndefined();
    recent.push(event(5));
    recent.push(event(8));
    expect(recent.read({ afterSeq: 3, limit: 9 })).toBeUndefined();
    expect(seqs(recent.read({ afterSeq: 4, limit: 9 }))).toEqual([5, 8]);
    expect(seqs(recent.read({ afterSeq: 8, limit: 9 }))).toEqual([]);
    recent.removeThrough(6);
    expect(recent.read({ afterSeq: 5, limit: 9 })).toBeUndefined();
    expect(seqs(recent.read({ afterSeq: 6, limit: 9 }))).toEqual([8]);
  });

  it('answers whatever it answers as the whole journal would', () => {
    const seed = Number(process.env['RECENT_SEED'] ?? randomInt(2 ** 31));
    const next = seededRandom(seed);
    const random = (below: number) => Math.floor(next() * below);
    const recent = new RecentEvents(50_000);
    const all: DomainEvent[] = [];
    let answered = 0;
    for (let seq = 1; seq <= 2000; seq += 1) {
      // Acts take a `seq` too, and are no events.
      if (random(5) === 0) continue;
      all.push(event(seq, ['logout', 'login.failed'][random(2)], ['u', 'v', 'w'][random(3)]));
      recent.push(all.at(-1) as DomainEvent);
      const query = {
        afterSeq: Math.max(0, seq - random(80)),
        throughSeq: random(2) === 0 ? undefined : seq - random(10),
        types: random(2) === 0 ? undefined : ['login.failed'],
        subjects: random(2) === 0 ? undefined : ['u', 'w'],
        limit: 1 + random(30),
      };
      const found = recent.read(query);
      if (!found) continue;
      answered += 1;
      const { afterSeq, throughSeq = Infinity, types, subjects, limit } = query;
      const expected = all.filter((one) => {
        if (one.seq <= afterSeq || one.seq > throughSeq) return false;
        return (!types || types.includes(one.type)) && (!subjects || subjects.includes(one.subject));
      });
      expect(seqs(found), `RECENT_SEED=${seed}`).toEqual(seqs(expected.slice(0, limit)));
    }
    expect(answered).toBeGreaterThan(500);
  });
});
