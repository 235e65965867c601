// Rules about the texts themselves: where the environment is read, what every suite ends with, what nobody exports.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { filesUnder, textOf, withoutComments } from './sources.ts';

const test = suite('texts');
const own = [
  ...filesUnder('src', /\.ts$/),
  ...filesUnder('test', /\.ts$/),
  ...filesUnder('examples', /\.ts$/),
  ...filesUnder('bench', /\.ts$/),
  ...filesUnder('bin', /\.js$/),
];

test('the environment is read in src/support/env.ts alone', () => {
  for (const path of own) {
    // Tests set switches for the programs that they spawn.
    if (path === 'src/support/env.ts' || path.startsWith('test/')) continue;
    assert.not.match(
      withoutComments(textOf(path)),
      /\bprocess\s*\.\s*env\b|\bprocess\s*\[|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/,
      path,
    );
  }
});

test('every suite ends with .run()', () => {
  for (const path of filesUnder('test', /\.test\.ts$/)) {
    const text = withoutComments(textOf(path));
    const suites = [...text.matchAll(/\bconst\s+(\w+)\s*=\s*(?:uvu\.)?suite\s*(?:<[^(]*>)?\s*\(/g)].map(
      (match) => match[1]!,
    );
    for (const name of suites) assert.match(text, new RegExp(`\\b${name}\\.run\\(\\)`), `${path}: ${name} never runs`);
    assert.match(text, /\.run\(\)|\brunCases\(/, `${path}: nothing runs`);
  }
});

test('no suite runs a part of its cases only', () => {
  for (const path of filesUnder('test', /\.test\.ts$/)) {
    assert.not.match(withoutComments(textOf(path)), /^\s*\w+\.only\(/m, path);
  }
});

test('src has no default exports, enums or parameter properties', () => {
  for (const path of filesUnder('src', /\.ts$/)) {
    const text = withoutComments(textOf(path)).replace(/`(?:[^`\\]|\\.)*`/g, '``');
    assert.not.match(text, /^\s*export\s+default\b/m, path);
    assert.not.match(text, /^\s*(?:export\s+)?(?:const\s+)?enum\s/m, path);
  }
});

test('every source opens with a comment on its purpose', () => {
  for (const path of filesUnder('src', /\.ts$/)) assert.match(textOf(path), /^\/\/ \S|^\/\*\*/, path);
  for (const path of [...filesUnder('native', /\.(h|cc|cuh|cu)$/), ...filesUnder('test', /\.test\.ts$/)]) {
    assert.match(textOf(path), /^\/\/ \S|^\/\*/, path);
  }
});

test('no source holds unfinished words', () => {
  const unfinished = /\b(?:TODO|FIXME|XXX|HACK)\b|not (?:yet )?implemented|\bplaceholder\b|\bstub(?:bed)?\b/i;
  for (const path of [...own, ...filesUnder('native'), ...filesUnder('templates'), 'README.md']) {
    if (path === 'test/structure/texts.test.ts') continue;
    const line = textOf(path)
      .split('\n')
      .findIndex((text) => unfinished.test(text));
    assert.is(line, -1, `${path}:${line + 1}`);
  }
});

test('no text speaks of how the project is made', () => {
  const making =
    /\b(?:contract|design|style|toolchain)\.md\b|\b(?:helper|owner) [A-H]\b|\bissue #?\d|\bthis session's task\b/i;
  for (const path of [...own, ...filesUnder('native'), ...filesUnder('templates'), 'README.md']) {
    if (path === 'test/structure/texts.test.ts') continue;
    const line = textOf(path)
      .split('\n')
      .findIndex((text) => making.test(text));
    assert.is(line, -1, `${path}:${line + 1}`);
  }
});

test('no text names the path of a private machine', () => {
  for (const path of [
    ...own,
    ...filesUnder('native'),
    ...filesUnder('templates'),
    ...filesUnder('generated'),
    'README.md',
  ]) {
    if (/\.(node|safetensors)$/.test(path) || path === 'test/structure/texts.test.ts') continue;
    assert.not.match(textOf(path), /\/(?:work|home|Users|root)\/\w/, path);
  }
});

test.run();
