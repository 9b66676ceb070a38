import { describe, expect, it } from 'vitest';
import { parseStrictJson } from './strict-json.js';

describe('parseStrictJson', () => {
  it.each(['null', '1', '"a:b"', '{"a":{"a":1},"b":[{"a":1},{"a":2}]}', '{"a":"\\"a\\":1"}', '{"a":"{","b":"}"}'])(
    'accepts %s like JSON.parse',
    (text) => {
      expect(parseStrictJson(text)).toEqual(JSON.parse(text));
    },
  );

  it.each(['{"a":1,"a":1}', '{"x":[{"a":1,"b":{},"a":2}]}', '{"a":1,"\\u0061" : 2}', '{"__proto__":1,"__proto__":2}'])(
    'refuses the duplicate key in %s',
    (text) => {
      expect(() => parseStrictJson(text)).toThrow(/appears twice/);
    },
  );

  it.each(['"\\u0000"', '{"a":["x\\\\\\u0000"]}', '{"\\u0000":1}'])('refuses U+0000 in %s', (text) => {
    expect(() => parseStrictJson(text)).toThrow('The text holds the character U+0000');
  });

  it('takes a backslash before u0000 for what it is', () => {
    expect(parseStrictJson('"\\\\u0000"')).toBe('\\u0000');
  });

  it('never quotes the text it refuses', () => {
    expect(() => parseStrictJson('{"password":"hunter2"')).toThrow('The text is not valid JSON');
  });
});
