import { describe, expect, it } from 'vitest';
import { canSee, visibleSubjects } from './visibility.js';

const user = { userId: 'u1', email: 'u1@example.com', role: 'user' as const };

describe('visibility', () => {
  it('shows an admin everything', () => {
    expect(visibleSubjects({ ...user, role: 'admin' })).toBeUndefined();
    expect(canSee({ ...user, role: 'admin' }, 'anybody')).toBe(true);
  });

  it.each([
    ['u1', true],
    ['u1@example.com', true],
    ['u2', false],
    ['u1@example.com.evil', false],
    ['', false],
  ])('shows a user what is about itself: %j %s', (subject, expected) => {
    expect(canSee(user, subject)).toBe(expected);
  });
});
