/** U+0000 can only be there as an escape, which an even number of backslashes, or none, comes before. */
const NUL = /(?<!\\)(?:\\\\)*\\u0000/;

/**
 * Parses JSON and refuses what `JSON.parse` lets through silently: an object that names the same key twice, and U+0000.
 *
 * RFC 8259 §4 leaves duplicates undefined, and parsers disagree on which one wins, which lets a request mean one thing
 * to a proxy and another to the service. PostgreSQL stores no U+0000 in a text, and no text of Herald's needs one.
 *
 * @throws SyntaxError with a message for the client, which never quotes the text (it may hold a password or token).
 */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SyntaxError('The text is not valid JSON');
  }
  if (NUL.test(text)) throw new SyntaxError('The text holds the character U+0000');
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) throw new SyntaxError(`The key ${duplicate} appears twice in one object`);
  return value;
}

/** Walks the tokens of a text already known to be valid JSON; an object's keys are its strings followed by a colon. */
function findDuplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token, name, colon] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (name !== undefined && colon !== undefined) {
      // Parsed, so that "a" and "\u0061" are the same key.
      const key = JSON.parse(name) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return JSON.stringify(key.slice(0, 64));
      keys?.add(key);
    }
  }
  return undefined;
}
