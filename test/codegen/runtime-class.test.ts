// The class of a model: what it has for a language model and for a layer, odd names, and that tsc accepts it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { className, emitRuntimeClass, type RuntimeModel, type RuntimeTensor } from '../../src/codegen/runtime-class.ts';
import type { DType } from '../../src/support/dtype.ts';

const test = suite('runtime class');
const root = resolve(import.meta.dirname, '../..');

const tensor = (name: string, dtype: DType, shape: (number | string)[], below?: number | string): RuntimeTensor => ({
  name,
  type: { dtype, shape },
  below,
  optional: false,
});

const languageModel: RuntimeModel = {
  name: 'tiny-lm',
  inputs: [
    tensor('ids', 'i32', ['T'], 257),
    tensor('positions', 'i32', ['T'], 64),
    tensor('sequence', 'i32', ['T'], 'S'),
  ],
  outputs: [tensor('logits', 'f32', ['T', 257])],
  weights: ['wte', 'blocks.0.a', 'blocks.1.a', 'odd`$name', "quote's"].map((name) => tensor(name, 'f32', [4])),
  meta: { tokenizer: { kind: 'bytes', bos: 256, eos: [] } },
};

const idsModel: RuntimeModel = { ...languageModel, name: 'ids-lm', meta: {} };

const layer: RuntimeModel = {
  name: '2nd_layer',
  inputs: [tensor('x', 'f32', ['T', 8])],
  outputs: [tensor('y', 'f32', ['T', 8]), tensor('mid.best_index', 'i32', ['T', 2])],
  weights: [],
  meta: {},
};

test('class names', () => {
  assert.equal(['bytes-lm', 'layer', 'v2_full.x', '2nd'].map(className), ['BytesLm', 'Layer', 'V2FullX', 'Model2nd']);
});

test('a language model generates, a layer does not', () => {
  const text = emitRuntimeClass(languageModel);
  assert.match(text, 'export class TinyLm extends CompiledModel');
  assert.match(text, "requireAddon(import.meta.url, './tiny-lm.node')");
  assert.match(text, 'generate(prompt: string | ArrayLike<number>');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the emitted type is a template
  assert.match(text, 'blocks.${0 | 1}.a');
  const other = emitRuntimeClass(layer);
  assert.not.match(other, 'generate');
  assert.not.match(other, 'tokenizer');
  assert.match(other, "readonly 'mid.best_index': Tensor<'i32'>");
});

test('the same bytes twice, formatted, about a screen', () => {
  const text = emitRuntimeClass(languageModel);
  assert.is(emitRuntimeClass(languageModel), text);
  assert.not.match(text, /[ \t]\n/);
  assert.not.match(text, /\n\n\n/);
  assert.ok(text.endsWith('}\n'));
  assert.ok(text.split('\n').length < 90, `${text.split('\n').length} lines`);
});

test('tsc accepts the classes and refuses wrong calls', () => {
  const folder = mkdtempSync(join(root, 'test/codegen/.emitted-'));
  try {
    writeFileSync(join(folder, 'model.ts'), emitRuntimeClass(languageModel));
    writeFileSync(join(folder, 'ids.ts'), emitRuntimeClass(idsModel));
    writeFileSync(join(folder, 'layer.ts'), emitRuntimeClass(layer));
    writeFileSync(
      join(folder, 'use.ts'),
      `import { loadTokenizer } from 'ultramem/runtime';
import { TinyLm } from './model.ts';
import { IdsLm } from './ids.ts';
import { Model2ndLayer } from './layer.ts';
await using lm = await TinyLm.load('a.safetensors', { threads: 1, maxSequences: 2 });
for await (const { text } of lm.generate('x', { maxTokens: 1 })) text.length;
const ids = await IdsLm.load('a.safetensors');
ids.generate([1, 2]);
const { text } = await ids.complete('x', { tokenizer: await loadTokenizer('tokenizer.json') });
text.length;
// @ts-expect-error: text wants a tokenizer
ids.generate('x');
const layer = await Model2ndLayer.load({});
const y: Float32Array = (await layer.forward({ x: new Float32Array(8) })).y.data;
y.length;
// @ts-expect-error: no such weight
TinyLm.load({ wtf: { dtype: 'f32', shape: [1], data: new Float32Array(1) } });
// @ts-expect-error: an input is missing
lm.forward({ ids: [1] });
// @ts-expect-error: another element type
layer.forward({ x: new Float64Array(8) });
// @ts-expect-error: a layer does not generate
layer.generate('x');
`,
    );
    const config = { extends: '../../../tsconfig.json', include: ['./*.ts'], exclude: [] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
    try {
      execFileSync(process.execPath, [tsc, '--noEmit', '-p', folder], { encoding: 'utf8' });
    } catch (error) {
      const own = (error as { stdout: string }).stdout.split('\n').filter((line) => line.includes('.emitted-'));
      assert.equal(own, []);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();
