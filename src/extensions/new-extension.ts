import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StartError } from '../common/start-error.js';
import { EXTENSION_NAME } from './extension.js';

/** The repository; this file runs from the build, in `dist/src/extensions/`. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TEMPLATE = join(ROOT, 'templates/extension');
/** The end of its migration's class name. */
const CREATED_AT = String(Date.now());

interface PackageJson {
  version: string;
  peerDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

/** Writes the skeleton of an extension: `npm run extension:new NAME [FOLDER]`. @throws StartError */
function writeExtension(name: string | undefined, folder = `../${name}`): string {
  if (name === undefined || !EXTENSION_NAME.test(name)) {
    throw new StartError(
      `${name === undefined ? 'A name is missing' : `"${name}" is no name`}: use lower case with dashes, such as npm run extension:new team-notes.`,
    );
  }
  const target = resolve(ROOT, folder);
  if (existsSync(target)) throw new StartError(`${target} is there already: give another folder after the name.`);
  if (target.startsWith(join(ROOT, 'src/'))) {
    throw new StartError(`${target} is inside Herald's own sources: give a folder outside of src/ after the name.`);
  }
  for (const file of filesIn(TEMPLATE)) {
    const to = join(target, personalize(file, name));
    mkdirSync(dirname(to), { recursive: true });
    const text = personalize(readFileSync(join(TEMPLATE, file), 'utf8'), name).replaceAll('EXTENSION_PATH', target);
    writeFileSync(to, file === 'package.json' ? withVersions(text, target) : text);
  }
  return target;
}

function filesIn(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => statSync(join(folder, path)).isFile());
}

/** Puts the extension's name in the place of the template's, in each way of writing it. */
function personalize(text: string, name: string): string {
  const words = name.split('-');
  const pascal = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return text
    .replaceAll('my-extension', name)
    .replaceAll('my_extension', words.join('_'))
    .replaceAll('MyExtension', pascal)
    .replaceAll('1796000000000', CREATED_AT)
    .replaceAll("requires: '^0.1.0'", `requires: '^${herald().version}'`);
}

/** Gives the template's packages the versions that Herald is built and tested with, and links Herald itself. */
function withVersions(text: string, target: string): string {
  const manifest = JSON.parse(text) as PackageJson;
  const { version, devDependencies: tested } = herald();
  for (const name of Object.keys(manifest.devDependencies)) manifest.devDependencies[name] = tested[name] ?? '*';
  manifest.devDependencies['herald'] = `file:${relative(target, ROOT)}`;
  manifest.peerDependencies['herald'] = `^${version}`;
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

function herald(): PackageJson {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PackageJson;
}

try {
  const [name, folder] = process.argv.slice(2);
  const target = writeExtension(name, folder);
  process.stdout.write(`${target} is ready. Go on there with: npm install && npm run lint && npm test\n`);
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
