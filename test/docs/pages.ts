import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** A page of documentation. */
export interface Page {
  file: string;
  text: string;
  /** The text without what stands in code, where brackets are no links. */
  prose: string;
}

/** Returns every Markdown page of the repository; that of the template speaks of a package of its own. */
export function pages(): Page[] {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md', ':!templates'], {
    encoding: 'utf8',
  });
  return files
    .trim()
    .split('\n')
    .filter((file) => existsSync(file))
    .map((file) => {
      const text = readFileSync(file, 'utf8');
      return { file, text, prose: text.replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, '') };
    });
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replace(/^```[^]*?^```/gm, '').matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(/\s/g, '-'),
    ),
  );
}

/** Says of every link of a page that leads nowhere where it should have led; links to other hosts are not followed. */
export function deadLinks({ file, text, prose }: Page): string[] {
  const dead: string[] = [];
  for (const [, target = ''] of prose.matchAll(/\]\(([^()\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path = '', anchor] = target.split('#');
    const other = path === '' ? file : normalize(join(dirname(file), path));
    if (!existsSync(other)) dead.push(`${file}: ${target}`);
    else if (anchor !== undefined && other.endsWith('.md')) {
      const page = path === '' ? text : readFileSync(other, 'utf8');
      if (!anchorsOf(page).has(anchor)) dead.push(`${file}: ${target} (no such heading)`);
    }
  }
  return dead;
}
