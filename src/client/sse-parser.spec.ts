import { describe, expect, it } from 'vitest';
import { SseParser, type SseBlock } from './sse-parser.js';

function parse(pieces: Iterable<string>): { blocks: SseBlock[]; retries: number[] } {
  const blocks: SseBlock[] = [];
  const retries: number[] = [];
  const parser = new SseParser(
    (block) => blocks.push(block),
    (ms) => retries.push(ms),
  );
  for (const piece of pieces) parser.push(piece);
  return { blocks, retries };
}

const STREAM =
  'retry: 4909\n\n:heartbeat\n\nevent: login.failed\nid: evt-1\ndata: {"a":1}\n\nevent: stream.end\ndata:x\ndata: y\n\n' +
  'retry: soon\n\ndata\n\nid: evt-2\n\ndata: cut off';

describe('SseParser', () => {
  const expected = {
    retries: [4909],
    blocks: [
      { event: 'login.failed', id: 'evt-1', data: '{"a":1}' },
      { event: 'stream.end', data: 'x\ny' },
      { event: '', data: '' },
    ],
  };

  it.each(['\n', '\r\n', '\r'])(
    'takes a stream with line breaks %j apart, in whatever pieces it comes',
    (lineBreak) => {
      const stream = STREAM.replaceAll('\n', lineBreak);
      expect(parse([stream])).toEqual(expected);
      expect(parse(stream)).toEqual(expected);
    },
  );
});
