import { expect, it } from 'vitest';
import { StallWatch } from './stall-watch.js';

it('tells one that stands still from one that is behind, and from one that has nothing to do', () => {
  const watch = new StallWatch(10_000);
  watch.look(5, 5, 0);
  watch.look(5, 5, 60_000);
  // Something has come since the last look.
  watch.look(5, 9, 65_000);
  watch.look(6, 90, 74_000);
  watch.look(6, 90, 84_000);
  expect(() => watch.look(6, 90, 84_001)).toThrow('It stands at 6 of 90 for 10 s');
  watch.look(90, 90, 90_000);
  // Probes that are far apart: it is seen behind for the first time.
  watch.look(90, 91, 150_000);
});
