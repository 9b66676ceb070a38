/**
 * Adds entries to a registry: all of them or, when one name is taken by another entry, none.
 *
 * @param what - with its article, for the message: `an event`.
 * @throws TypeError whose message is the cure.
 */
export function declareIn<V>(registry: Map<string, V>, what: string, entries: Readonly<Record<string, V>>): void {
  for (const [name, entry] of Object.entries(entries)) {
    if ((registry.get(name) ?? entry) !== entry) {
      throw new TypeError(`There is ${what} "${name}" already: choose another name`);
    }
  }
  for (const [name, entry] of Object.entries(entries)) registry.set(name, entry);
}
