import { describe, expect, it } from 'vitest';
import { formatBytes, formatDuration, formatJson, formatRelative, shortId } from './format.js';

describe('formats', () => {
  it.each([
    [0, '0 ms'],
    [0.25, '0.3 ms'],
    [12.4, '12 ms'],
    [1500, '1.5 s'],
    [125_000, '2 m 5 s'],
    [7_380_000, '2 h 3 m'],
    [453_600_000, '5 d 6 h'],
  ])('a duration of %d ms is %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

  it.each([
    [-300_000, '5m ago'],
    [-1, 'now'],
    [7_200_000, 'in 2h'],
  ])('a time %d ms away is %s', (distance, text) => expect(formatRelative(1e12 + distance, 1e12)).toBe(text));

  it.each([
    [1023, '1023 B'],
    [1536, '1.5 KB'],
    [2_621_440, '2.5 MB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it('shortens an id to its end', () => {
    expect(shortId('evt-01a20d15-9125-730d-a06d-4c865def98b5')).toBe('…5def98b5');
    expect(shortId('short')).toBe('short');
  });

  it('indents JSON, and leaves other text alone', () => {
    expect(formatJson('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(formatJson('<html>')).toBe('<html>');
    expect(formatJson({ a: 1 })).toBe('{\n  "a": 1\n}');
  });
});
