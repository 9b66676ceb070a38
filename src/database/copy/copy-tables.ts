import type { QueryRunner } from 'typeorm';
import type { CopiedFile } from './copied-file.js';
import { CopiedTable, type Content, type CopiedView } from './copied-table.js';

/** What TypeORM remembers of each database. */
const MIGRATIONS = 'migrations';

const NAMES = 'SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()';
const REFERENCES = `SELECT source.relname AS table, target.relname AS needs FROM pg_constraint
  JOIN pg_class AS source ON source.oid = conrelid JOIN pg_class AS target ON target.oid = confrelid WHERE contype = 'f'`;

/**
 * Copies the rows of all tables, those first that others refer to, and sees that PostgreSQL then holds what the file holds.
 *
 * @param views - what of them PostgreSQL shows as views.
 * @param left - names of tables that stay behind.
 * @param onCopied - told of each table.
 * @returns how many rows there are in how many tables.
 * @throws Error for a table that PostgreSQL does not have, for rows there that are not the file's, for a copy that differs.
 */
export async function copyTables(
  file: CopiedFile,
  target: QueryRunner,
  views: readonly CopiedView[],
  left: readonly string[],
  onCopied: (table: string, rows: number) => void,
): Promise<{ tables: number; rows: number }> {
  const tables: { table: CopiedTable; begun: number }[] = [];
  // All of them are looked at before the first row is written.
  for (const name of await namesInOrder(file, target, views, left)) {
    const view = views.find((one) => one.name === name);
    const table = await CopiedTable.open(name, file, target, view);
    tables.push({ table, begun: await table.begun() });
  }
  const contents = new Map<CopiedTable, Content>();
  for (const { table, begun } of tables) {
    const content = await table.copy(begun);
    await table.moveSequences();
    contents.set(table, content);
    onCopied(table.name, content.rows);
  }
  let rows = 0;
  for (const [table, content] of contents) {
    const there = await table.readTarget();
    if (there.rows !== content.rows || there.hash !== content.hash) {
      throw new Error(
        `The table "${table.name}" differs: ${content.rows} rows in the file, ${there.rows} in PostgreSQL`,
      );
    }
    rows += there.rows;
  }
  return { tables: contents.size, rows };
}

/** Each after those that it refers to. @throws Error for one that PostgreSQL does not have. */
async function namesInOrder(
  file: CopiedFile,
  target: QueryRunner,
  views: readonly CopiedView[],
  left: readonly string[],
): Promise<string[]> {
  const tables = (await target.query(NAMES)) as { name: string }[];
  const there = new Set([...tables, ...views].map(({ name }) => name));
  const wanted = file.tables().filter((name) => name !== MIGRATIONS && !left.includes(name));
  const unknown = wanted.filter((name) => !there.has(name));
  if (unknown.length > 0) {
    throw new Error(
      `The file has tables that belong neither to Herald nor to an extension of HERALD_EXTENSIONS: ${unknown.join(', ')}. ` +
        `Name the extension that they are of, or leave them behind: ${unknown.map((name) => `--leave ${name}`).join(' ')}`,
    );
  }
  const references = (await target.query(REFERENCES)) as { table: string; needs: string }[];
  const ordered = new Set<string>();
  const seen = new Set<string>();
  const place = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const { table, needs } of references) if (table === name) place(needs);
    if (wanted.includes(name)) ordered.add(name);
  };
  wanted.forEach(place);
  return [...ordered];
}
