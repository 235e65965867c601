// `ultramem quantize` on the trained checkpoint: what it writes and prints, and what then reads it.

import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { QuantisedFile } from '../../src/quantise.ts';
import { openSafetensors, readSafetensors, tensor, writeSafetensors } from '../../src/runtime/index.ts';
import '../build-folder.ts';
import { bytesInOrder, writeTokenizer } from '../runtime/tokenizer-files.ts';
import { inTemporaryFolder, ultramem } from './run-command.ts';

const example = 'examples/bytes-lm';
const checkpoint = `${example}/ultramem-bytes.safetensors`;
const memory = (n: number): string => `transformer.mem_blocks.${n}`;
const test = suite('quantize');

test('tables and keys become bytes with scales; all else is copied, and the metadata says what was done', () =>
  inTemporaryFolder(async (folder) => {
    const out = join(folder, 'out.safetensors');
    const { status, stdout, stderr } = ultramem(['quantize', checkpoint, out, '--tables', 'fp8', '--keys', 'int8']);
    assert.is(status, 0, stderr);
    assert.match(stdout, /mem_blocks\.0\.keys +int8 +1536 +0\.15 MB +0\.08 MB +\d\.\d+e-3 +\d\.\d+e-3/);
    assert.match(stdout, /mem_blocks\.1\.values_for_look_up +fp8 +9216 +2\.95 MB +1\.51 MB/);
    assert.match(stdout, 'the whole file: 11.88 MB before, 8.87 MB after');
    const [before, after] = [await openSafetensors(checkpoint), await openSafetensors(out)];
    const table = after.tensors.get(`${memory(0)}.values_for_look_up`)!;
    assert.equal([table.dtype, table.shape], ['F8_E4M3', [9216, 160]]);
    assert.equal(after.tensors.get(`${table.name}.scale`)!.shape, [9216]);
    const keys = after.tensors.get(`${memory(1)}.keys`)!;
    assert.is(keys.dtype, 'I8');
    assert.equal(after.tensors.get(`${keys.name}.scale`)!.shape, keys.shape.toSpliced(3, 1));
    assert.is(after.metadata[`quantised ${keys.name}`], 'over axis 3');
    assert.is(after.metadata[`quantised ${table.name}`], 'over axis 1');
    const [old, fresh] = [await readSafetensors(checkpoint), await readSafetensors(out)];
    for (const [name, { dtype }] of before.tensors) {
      if (/keys$|values_for_look_up$/.test(name)) continue;
      assert.is(after.tensors.get(name)!.dtype, dtype);
      assert.equal(fresh[name], old[name]);
    }
    assert.equal(readdirSync(folder), ['out.safetensors']);
  }));

test('--json, with bits per byte before and after; the text that then comes is that of the floats', () =>
  inTemporaryFolder((folder) => {
    const out = join(folder, 'out.safetensors');
    const text = join(folder, 'text.txt');
    writeFileSync(text, 'And God said, Let there be light: and there was light. '.repeat(12));
    const measured = ['--model', `${example}/model.ts`, '--text', text, '--json'];
    const { status, stdout, stderr } = ultramem(['quantize', checkpoint, out, ...measured]);
    assert.is(status, 0, stderr);
    const { bitsPerByte, tensors, bytesAfter } = JSON.parse(stdout) as QuantisedFile & {
      bitsPerByte: { before: number; after: number };
    };
    assert.equal(
      tensors.map(({ kind, dtype }) => `${kind} ${dtype}`),
      ['table i8', 'table i8'],
    );
    assert.ok(bytesAfter < 9.1e6);
    assert.ok(bitsPerByte.before > 0.5 && bitsPerByte.before < 4, stdout);
    const given = ['--tokenizer', writeTokenizer(folder, bytesInOrder())];
    const byFile = ultramem(['quantize', checkpoint, join(folder, 'again.safetensors'), ...measured, ...given]);
    assert.equal(JSON.parse(byFile.stdout).bitsPerByte, bitsPerByte, 'a tokenizer of bytes measures what bytes do');
    const lost = Math.abs(bitsPerByte.after - bitsPerByte.before);
    assert.ok(lost > 0 && lost < 0.005, stdout);
    const generate = (weights: string, ...more: string[]): string =>
      ultramem([
        ...['generate', `${example}/model.ts`, '--weights', weights, '--prompt', 'In the beginning'],
        ...['--max-tokens', '32', '--greedy', ...more],
      ]).stdout;
    const wanted = generate(checkpoint);
    assert.ok(wanted.length > 20);
    for (const got of [generate(out), generate(out, '--tables', 'int8'), generate(checkpoint, '--tables', 'int8')])
      assert.is(got, wanted);
  }));

test('--tensors names others; rows that are not finite, nothing to do and half a measurement are refused', () =>
  inTemporaryFolder(async (folder) => {
    const [from, out] = [join(folder, 'in.safetensors'), join(folder, 'out.safetensors')];
    const rows = tensor('f32', [2, 3], new Float32Array([1, 2, 3, 4, 5, 6]));
    await writeSafetensors(from, { 'a.emb+': rows, 'b.emb': rows, values_for_look_up: rows });
    const names = ultramem(['quantize', from, out, '--tensors', 'a.*', '--json']);
    assert.equal(
      (JSON.parse(names.stdout) as QuantisedFile).tensors.map(({ name }) => name),
      ['a.emb+'],
    );
    const codeOf = (...args: string[]): string => {
      const { status, stdout } = ultramem(['quantize', ...args, '--json']);
      assert.is(status, 1);
      return (JSON.parse(stdout) as { error: { code: string } }).error.code;
    };
    assert.is(codeOf(out, join(folder, 'twice.safetensors'), '--tensors', 'a.*'), 'weights-nothing-to-quantise');
    assert.is(codeOf(from, out, '--tables', 'none'), 'weights-nothing-to-quantise');
    assert.is(codeOf(from, out, '--text', from), 'cli-option-needed');
    assert.is(codeOf(from, join(folder, 'no/such/folder.safetensors')), 'weights-unwritable');
    const bad = tensor('f32', [2, 2], new Float32Array([1, 2, 3, Number.NaN]));
    await writeSafetensors(from, { values_for_look_up: bad });
    const never = join(folder, 'never.safetensors');
    assert.is(codeOf(from, never), 'weights-not-finite');
    assert.is(existsSync(never), false);
    assert.is(ultramem(['quantize', from, never, '--tables', 'int4']).status, 2);
  }));

test.run();
