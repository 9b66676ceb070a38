import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = process.cwd();
/** The packages that `npm install` would fetch; here those of this repository are linked, so that no network is needed. */
const PACKAGES = ['typescript', 'vitest', 'oxlint', '@types', '.bin'];

const temporary = mkdtempSync(join(tmpdir(), 'herald-new-'));
const folder = join(temporary, 'team-notes');
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

function run(command: string, cwd: string): { code: number | null; output: string } {
  const [program = '', ...words] = command.trim().split(' ');
  const { status, stdout, stderr } = spawnSync(program, words, { cwd, encoding: 'utf8' });
  return { code: status, output: stdout + stderr };
}

const create = (...words: string[]) => run(`npm run --silent extension:new ${words.join(' ')}`, ROOT);

/** Adds a file to the extension for as long as `work` takes. */
function withFile<T>(path: string, text: string, work: () => T): T {
  writeFileSync(join(folder, path), text);
  try {
    return work();
  } finally {
    rmSync(join(folder, path));
  }
}

describe('npm run extension:new', { timeout: 120_000 }, () => {
  beforeAll(() => {
    expect(create('team-notes', folder)).toMatchObject({ code: 0, output: expect.stringContaining('is ready') });
    mkdirSync(join(folder, 'node_modules'));
    for (const name of PACKAGES) symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
    symlinkSync(ROOT, join(folder, 'node_modules/herald'));
  }, 60_000);

  it('writes a package that depends on this Herald and on the versions that it is tested with', () => {
    const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
    const [made, own] = [read(join(folder, 'package.json')), read('package.json')];
    expect(made).toMatchObject({ name: 'team-notes', peerDependencies: { herald: `^${own.version}` } });
    const { herald, ...others } = made.devDependencies as Record<string, string>;
    expect(join(folder, herald?.replace('file:', '') ?? '')).toBe(ROOT);
    for (const [name, version] of Object.entries(others)) expect(version).toBe(own.devDependencies[name]);
    for (const file of ['src/index.ts', 'src/items.migration.ts', 'test/team-notes.spec.ts', 'README.md']) {
      expect(readFileSync(join(folder, file), 'utf8')).not.toMatch(/my.?extension|EXTENSION_PATH/i);
    }
  });

  it('which passes its linter and its test, against a Herald of its own', () => {
    expect(run('npm run lint', folder)).toMatchObject({ code: 0 });
    const { code, output } = run('npm test', folder);
    expect(output).toMatch(/2 passed/);
    expect(code).toBe(0);
  });

  it('refuses to import what is behind the door: the linter with the cure, the compiler too', () => {
    const into = (specifier: string) =>
      `import { UsersService } from '${specifier}';\nexport const service = UsersService;\n`;
    const path = `${ROOT}/src/users/users.service.js`.replace(/^\//, '../'.repeat(12));
    withFile('src/into-the-package.ts', into('herald/dist/src/users/users.service.js'), () =>
      withFile('src/into-the-sources.ts', into(path), () => {
        const lint = run('npm run lint', folder);
        expect(lint.code).not.toBe(0);
        expect(lint.output.split('An extension imports herald/extension-api and nothing else of Herald')).toHaveLength(
          3,
        );
        const compiled = run('npx --no-install tsc --noEmit', folder).output;
        expect(compiled).toMatch(/into-the-package\.ts.*TS2307/);
        expect(compiled).toMatch(/TS6059/);
      }),
    );
  });

  it('refuses to import a file behind the door at run time, and the test’s door in what is no test', () => {
    const deep = `import 'herald/dist/src/users/users.service.js';\n`;
    const ran = withFile('deep.mjs', deep, () => run(`${process.execPath} deep.mjs`, folder));
    expect(ran.output).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
    const door = `import { startHerald } from 'herald/testing';\nexport const start = startHerald;\n`;
    expect(withFile('src/door.ts', door, () => run('npm run lint', folder)).code).not.toBe(0);
  });

  it.each([
    ['without a name', [], 'A name is missing: use lower case with dashes'],
    ['with a name that is none', ['Team_Notes'], '"Team_Notes" is no name: use lower case with dashes'],
    ['into a folder that is there', ['team-notes', folder], `${folder} is there already: give another folder`],
    ['into Herald’s own sources', ['team-notes', 'src/team-notes'], 'is inside Herald’s own sources: give a folder'],
  ])('%s says what to do, and writes nothing', (_what, words, sentence) => {
    const { code, output } = create(...words);
    expect(code).toBe(1);
    expect(output.trim().split('\n')).toHaveLength(1);
    expect(output).toContain(sentence.replace('’', "'"));
    expect(existsSync('src/team-notes')).toBe(false);
  });
});
