// The page's parts: HTML from text, repeats, numbers, parameters by kind, machines.

import { readdirSync, readFileSync } from 'node:fs';
import { trace } from 'ultramem';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import relatives from '../../examples/relatives.ts';
import { inspect } from '../../src/inspect.ts';
import { pageScript } from '../../src/page/assets.ts';
import { escaped, html, scriptJson } from '../../src/page/html.ts';
import { byteText, countText } from '../../src/page/numbers.ts';
import { parametersOf } from '../../src/page/parameters.ts';
import { repeatsOf, representatives } from '../../src/page/repeats.ts';
import { tokenChoices } from '../../src/page/work.ts';
import { rooflines } from '../../src/profile/machines.ts';
import { root } from '../cli/run-command.ts';

const test = suite('page: parts');

test('HTML escapes what it is given and keeps what was HTML', () => {
  const name = `<b title="x">'&'</b>`;
  assert.is(escaped(name), '&lt;b title=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/b&gt;');
  assert.is(html`<i>${name}</i>`.html, `<i>${escaped(name)}</i>`);
  assert.is(html`<p>${[html`<i>${1}</i>`, ' & ', undefined, 2]}</p>`.html, '<p><i>1</i> &amp; 2</p>');
  const json = scriptJson({ name, end: '</script>\u2028' }).html;
  assert.not.match(json, /[<>&\u2028]/);
  assert.equal(JSON.parse(json), { name, end: '</script>\u2028' });
});

const letters = (text: string): string[] => [...text];

test('repeats: the block that hides most first, then what is left, and blocks in blocks', () => {
  assert.equal(repeatsOf(letters('abc')), []);
  assert.equal(repeatsOf(letters('xabcdabcdabcdy')), [{ start: 1, period: 4, count: 3 }]);
  assert.equal(repeatsOf(letters('abab')), [], 'two are no block');
  assert.equal(repeatsOf(letters('abcdabcd--efghiefghi')), [
    { start: 0, period: 4, count: 2 },
    { start: 10, period: 5, count: 2 },
  ]);
  const nested = repeatsOf(letters('abcdabcdabcdxyzabcdabcdabcdxyz'));
  assert.equal(nested, [
    { start: 0, period: 15, count: 2 },
    { start: 0, period: 4, count: 3 },
  ]);
  const stands = representatives(30, nested);
  assert.equal(stands.slice(0, 16), [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 12, 13, 14, 0]);
  assert.is(stands[20], 1);
});

test('numbers read the same in the page and in its script', async () => {
  const script = await import(new URL('../../templates/page/numbers.js', import.meta.url).href);
  for (const n of [0, 1, 64, 999, 1000, 1023, 1024, 1536, 12345, 5_720_000, 2 ** 30, 3.5e12]) {
    assert.is(script.byteText(n), byteText(n));
    assert.is(script.countText(n), countText(n));
  }
  assert.is(byteText(1536), '1.5 KiB');
  assert.is(countText(5_716_000), '5.72 M');
  assert.is(script.timeText(3.2214e-4), '322 µs');
});

test('the script holds every module of its folder, and no name twice', () => {
  const script = pageScript();
  assert.not.match(script, /^(?:import|export)\b/m);
  for (const name of readdirSync(`${root}templates/page`).filter((file) => file.endsWith('.js'))) {
    const [title] = readFileSync(`${root}templates/page/${name}`, 'utf8').split('\n');
    assert.ok(script.includes(title!), `${name} is in no list`);
  }
  const names = [...script.matchAll(/^(?:function|const|let) (\w+)/gm)].map(([, name]) => name);
  assert.equal(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  );
});

test('numbers of tokens: powers of four up to the bound, and the bound', () => {
  assert.equal(tokenChoices(1), [1]);
  assert.equal(tokenChoices(16), [1, 4, 16]);
  assert.equal(tokenChoices(512), [1, 4, 16, 64, 256, 512]);
});

const kindsOf = (...args: Parameters<typeof inspect>): Readonly<Record<string, readonly [number, number, number]>> => {
  const { before, after } = inspect(...args);
  return Object.fromEntries(
    parametersOf(before, after).map(({ kind, tensors, elements, touched }) => [
      kind,
      [tensors.length, elements, touched],
    ]),
  );
};

test('parameters of the example by what reads them', () => {
  const kinds = kindsOf(bytesLm);
  const [rows, Dv, chosen] = [2 * 9216, 160, 2 * 32];
  assert.equal(kinds, {
    'value tables': [2, rows * Dv, chosen * Dv],
    'other dense products': [12, 6 * (768 * 192 + 192 * 384), 6 * (768 * 192 + 192 * 384)],
    attention: [12, 6 * (576 * 192 + 192 * 192), 6 * (576 * 192 + 192 * 192)],
    'projections of memories': [4, 2 * (96 * 192 + 192 * 640), 2 * (96 * 192 + 192 * 640)],
    keys: [2, 2 * 2 * 2 * 192 * 48 * 2, 2 * 2 * 2 * 192 * 48 * 2],
    'slot permutations': [2, 2 * 192 ** 2, chosen],
    embeddings: [1, 257 * 192, 257 * 192], // tied to the output, which reads them all
    norms: [29, 3072, 3072],
    'score cores': [8, 48, 48],
  });
  const all = trace(bytesLm).weights.reduce(
    (n, { type }) => n + type.shape.reduce<number>((p, d) => p * Number(d), 1),
    0,
  );
  assert.is(
    Object.values(kinds).reduce((n, [, elements]) => n + elements, 0),
    all,
  );
});

test('parameters stay what they are when tables are quantised, which adds scales', () => {
  const { 'scales of quantised tables': scales, ...rest } = kindsOf(bytesLm, { precision: 'bf16', tables: 'int8' });
  assert.equal(rest, kindsOf(bytesLm));
  assert.equal(scales, [2, 2 * 9216, 2 * 32]);
});

test('experts, routers and memories of a decoder of relatives', () => {
  const kinds = kindsOf(relatives);
  assert.equal(kinds.experts, [2, 2 * 8 * 96 * 64, 2 * 2 * 96 * 64]);
  assert.equal(kinds.routers, [1, 8 * 64, 8 * 64]);
  assert.equal(kinds['value tables'], [3, 3 * 24 ** 2 * 64, 3 * 2 * 8 * 64]);
});

test('machines: figures that are in order, a processor and a device first', () => {
  assert.ok(rooflines.some(({ kind }) => kind === 'cpu') && rooflines.some(({ kind }) => kind === 'device'));
  for (const { name, bandwidth, rates, source } of rooflines) {
    assert.ok(bandwidth > 1e10 && rates.f32 > 1e11 && rates.bf16 >= rates.f32 && rates.i8 >= rates.f32, name);
    assert.ok(source.length > 0, name);
  }
});

test.run();
