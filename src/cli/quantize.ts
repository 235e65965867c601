// `ultramem quantize`: value tables and keys of a checkpoint as bytes with a scale per row.

import { readFileSync } from 'node:fs';
import Table from 'cli-table3';
import { Command, Option } from 'commander';
import type { QuantisedFile } from '../quantise.ts';
import { quantisedTypes, type TableType } from '../support/dtype.ts';
import { optionNeeded, unreadableFile } from '../support/errors/cli.ts';
import { readModel } from './open-session.ts';
import { configOption, examples, jsonOption, marchOption, threadsOption } from './options.ts';
import { plainTable } from './table.ts';
import type { Terminal } from './terminal.ts';
import { findTokenizer, tokenizerOption } from './tokenizer.ts';

interface QuantizeFlags {
  readonly tables: TableType | 'none';
  readonly keys: TableType | 'none';
  readonly tensors?: string;
  readonly model?: string;
  readonly text?: string;
  readonly tokenizer?: string;
  readonly config?: string;
  readonly march: string;
  readonly threads?: number;
  readonly json?: boolean;
}

export function quantizeVerb(terminal: Terminal): Command {
  const types = [...Object.keys(quantisedTypes), 'none'];
  return new Command('quantize')
    .description('write a checkpoint with value tables and keys as bytes, a scale per row')
    .argument('<in>', 'safetensors file, index of shards, or folder; floats')
    .argument('<out>', 'safetensors file to write')
    .addOption(new Option('--tables <type>', 'what value tables become').choices(types).default('int8'))
    .addOption(
      new Option('--keys <type>', 'what keys become; loading makes floats of them again')
        .choices(types)
        .default('none'),
    )
    .option('--tensors <pattern>', 'names, * for any text, in place of *values_for_look_up and *keys')
    .option('--model <file>', 'with --text: TypeScript file of a language model, to measure both checkpoints with')
    .option('--text <file>', 'what bits per byte are measured on')
    .addOption(tokenizerOption())
    .addOption(configOption())
    .addOption(marchOption())
    .addOption(threadsOption())
    .addOption(jsonOption())
    .addHelpText('after', rules)
    .addHelpText(
      'after',
      examples(
        'ultramem quantize model.safetensors int8.safetensors',
        'ultramem quantize model.safetensors fp8.safetensors --tables fp8 --keys int8',
        'ultramem quantize model.safetensors out.safetensors --model model.ts --text valid.txt',
      ),
    )
    .action(async (from: string, to: string, flags: QuantizeFlags) => {
      if ((flags.model === undefined) !== (flags.text === undefined)) {
        const [lacks, has] = flags.model === undefined ? ['--model', '--text'] : ['--text', '--model'];
        throw optionNeeded(
          lacks,
          `${has} is given, and bits per byte are of a model on a text`,
          `Or leave ${has} out.`,
        );
      }
      const text = flags.text === undefined ? undefined : readText(flags.text);
      const model = flags.model === undefined ? undefined : await readModel(terminal, flags.model, flags);
      const tokenizer = model && (await findTokenizer(model, from, flags.tokenizer));
      const { quantiseWeights } = await import('../quantise.ts');
      const dtypeOf = (type: TableType | 'none') => (type === 'none' ? undefined : quantisedTypes[type]);
      const result = await quantiseWeights(from, to, {
        tables: dtypeOf(flags.tables),
        keys: dtypeOf(flags.keys),
        tensors: flags.tensors,
        signal: terminal.signal,
        onProgress: terminal.progress,
      });
      if (!flags.json) terminal.print(shown(result));
      if (model === undefined || text === undefined) {
        if (flags.json) terminal.printJson({ ...result, out: to });
        return;
      }
      const { bitsPerByte } = await import('../bits-per-byte.ts');
      const measure = (weights: string): Promise<number> =>
        bitsPerByte(model, weights, text, {
          target: 'cpu',
          tokenizer,
          march: flags.march,
          threads: flags.threads,
          signal: terminal.signal,
          onProgress: terminal.progress,
        });
      const bits = { before: await measure(from), after: await measure(to) };
      if (flags.json) return terminal.printJson({ ...result, out: to, bitsPerByte: bits });
      terminal.print(`bits per byte: ${bits.before.toFixed(5)} before, ${bits.after.toFixed(5)} after`);
    });
}

const rules = `
Tensor X becomes I8 or F8_E4M3 in its shape, with X.scale f32 beside it: value = element · scale. Value tables have a scale per row,
keys one per head, side, key and rank. The scale is the largest magnitude / 127 (int8) or / 448 (fp8); elements are the nearest. A
model reads the file as it would have read the floats, or, compiled with --tables of the same type, uses its tables as they lie in it.
Errors: the largest relative to the largest of its row, and root mean square relative to that of the values.`;

function readText(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw unreadableFile(path, 'text', cause);
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;

function shown({ tensors, bytesBefore, bytesAfter }: QuantisedFile): string {
  const head = ['tensor', 'type', 'scales', 'before', 'after', 'max error', 'rms error'];
  const table = new Table(plainTable(head, [2, 3, 4, 5, 6]));
  for (const { name, dtype, rows, bytesBefore: before, bytesAfter: after, maxError, rmsError } of tensors) {
    const errors = [maxError, rmsError].map((error) => error.toExponential(2));
    table.push([name, dtype === 'i8' ? 'int8' : 'fp8', `${rows}`, megabytes(before), megabytes(after), ...errors]);
  }
  return `${table.toString()}\nthe whole file: ${megabytes(bytesBefore)} before, ${megabytes(bytesAfter)} after`;
}
