// The page's style and script, from templates/page: plain files, put into the page as they are.

import { readFileSync } from 'node:fs';

const read = (name: string): string => readFileSync(new URL(`../../templates/page/${name}`, import.meta.url), 'utf8');

/** The modules of the script, each behind those that it imports. */
const modules = [
  'numbers.js',
  'elements.js',
  'state.js',
  'details.js',
  'map.js',
  'roofline.js',
  'work.js',
  'memory.js',
  'drawings.js',
  'start.js',
];

export const pageStyle = (): string => read('page.css');

/** All modules as one script in a scope of its own: a page from a file cannot import any. Names are unique among them. */
export function pageScript(): string {
  const joined = modules.map((name) =>
    read(name)
      .replace(/^import [^;]*;\n/gm, '')
      .replace(/^export /gm, ''),
  );
  return `(() => {\n'use strict';\n${joined.join('\n')}})();\n`;
}
