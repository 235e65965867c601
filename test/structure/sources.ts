// The project's own text files and their imports, for the structure tests.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the checkout. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

const skipped = new Set(['node_modules', '.git', 'dist', 'coverage', 'build', '.cache', 'out']);

/** All files under `folder` (relative to the root, with `/`), sorted; build products left out, none where it does not exist. */
export function filesUnder(folder: string, extension = /./): string[] {
  const found: string[] = [];
  const walk = (at: string): void => {
    for (const name of readdirSync(join(root, at)).sort()) {
      const path = at === '' ? name : `${at}/${name}`;
      // src/build is a room of the compiler, test/build its tests; every other `build` is a product.
      if (skipped.has(name) && path !== 'src/build' && path !== 'test/build') continue;
      if (statSync(join(root, path)).isDirectory()) walk(path);
      else if (extension.test(name)) found.push(path);
    }
  };
  if (existsSync(join(root, folder))) walk(folder);
  return found;
}

/** Text of a file of the project. */
export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

/** A source text with its comments blanked (line numbers kept). Good enough for the scans here; strings stay. */
export function withoutComments(text: string): string {
  return text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|(?<!:)\/\/[^\n]*/g,
    (all, quoted) => (quoted === undefined ? all.replace(/[^\n]/g, ' ') : all),
  );
}

/** One import or re-export of a TypeScript file. */
export interface Import {
  readonly from: string;
  readonly specifier: string;
  /** File that a relative specifier names, relative to the root; undefined for packages. */
  readonly target: string | undefined;
  readonly typeOnly: boolean;
}

/** Static and dynamic imports and re-exports of a file. */
export function importsOf(path: string): Import[] {
  const text = withoutComments(textOf(path));
  const found: Import[] = [];
  const names = String.raw`(?:[\w$*]+|\*\s+as\s+[\w$]+|\{[^}'"]*\})`;
  const statement = new RegExp(
    String.raw`^\s*(?:import|export)\b(\s+type\b(?!\s+from\b))?\s*(?:${names}(?:\s*,\s*${names})?\s*from\s*)?['"]([^'"]+)['"]`,
    'gm',
  );
  const dynamic = /\bimport\(\s*['"]([^'"]+)['"]/g;
  const add = (specifier: string, typeOnly: boolean): void => {
    const target = specifier.startsWith('.')
      ? relative(root, resolve(root, dirname(path), specifier))
          .split(sep)
          .join('/')
      : undefined;
    found.push({ from: path, specifier, target, typeOnly });
  };
  for (const match of text.matchAll(statement)) add(match[2]!, match[1] !== undefined);
  for (const match of text.matchAll(dynamic)) add(match[1]!, false);
  return found;
}
