// Options that several verbs share, and the readers of their values.

import { readFileSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import { badJson, unreadableFile } from '../support/errors/cli.ts';
import type { Terminal } from './terminal.ts';

export const targets = ['auto', 'cpu', 'cuda', 'simt', 'interpreter'] as const;
export type Target = (typeof targets)[number];

/** A whole number within bounds; commander turns the refusal into a usage error. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
      throw new InvalidArgumentError(`Wanted a whole number ${range}.`);
    }
    return value;
  };
}

/** Whole numbers from 1 with commas between them. */
export function numberList(list: string): readonly number[] {
  const numbers = list.split(',').map(Number);
  if (/^\d+(,\d+)*$/.test(list) && numbers.every((n) => Number.isSafeInteger(n) && n >= 1)) return numbers;
  throw new InvalidArgumentError('Wanted whole numbers from 1, with commas between them.');
}

/** A number within bounds. */
export function numberBetween(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most)) {
      throw new InvalidArgumentError(`Wanted a number from ${least} to ${most}.`);
    }
    return value;
  };
}

export const targetOption = (): Option =>
  new Option('--target <target>', 'what runs the model; auto is cuda where it can be, else cpu, and says which')
    .choices([...targets])
    .default('cpu');

/** For `onTarget`: what target auto came to goes to stderr, once however many models are opened. */
export function tellTarget(terminal: Pick<Terminal, 'note'>): (target: string, why: string) => void {
  const told = new Set<string>();
  return (target, why) => {
    const text = `target ${target}: ${why}`;
    if (!told.has(text)) terminal.note(text);
    told.add(text);
  };
}

export const precisionOption = (): Option =>
  new Option(
    '--precision <type>',
    'how floats are stored: bf16 halves the bytes of weights, and on cuda and simt of caches and values too',
  )
    .choices(['f32', 'bf16'])
    .default('f32');

export const tablesOption = (): Option =>
  new Option(
    '--tables <type>',
    'how weights are stored that steps read row by row: as bytes with a scale per row, a quarter of f32 (default: by --precision)',
  ).choices(['int8', 'fp8']);

export const marchOption = (): Option =>
  new Option('--march <isa>', 'instruction set to build for: native, x86-64-v3, x86-64, …').default('native');

export const threadsOption = (): Option =>
  new Option('--threads <n>', 'threads per step (default: one per core)').argParser(wholeNumber(1, 1024));

/** Of verbs that measure steps. */
export const randomWeightsOption = (): Option =>
  new Option('--weights <path>', 'safetensors file, index of shards, or folder (default: random weights)');

export const pastOption = (): Option =>
  new Option(
    '--past <n>',
    'positions every sequence holds before the step (default: half of its context for up to 16 tokens, which are ' +
      'one each of as many sequences; 0 for more, which are a prompt)',
  ).argParser(wholeNumber(0));

export const configOption = (): Option =>
  new Option('--config <file>', 'JSON handed to the model file when its default export is a function');

export const jsonOption = (): Option => new Option('--json', 'print one JSON value on stdout instead of text');

/** Parses a JSON file; throws cli-unreadable-file or cli-bad-json. `what` names its role in the message. */
export function readJson(path: string, what: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw unreadableFile(path, what, cause);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badJson(path, what, cause);
  }
}

/** The examples at the end of a verb's help. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`;

/** Value of --config: parsed JSON, or undefined. */
export const readConfig = (path: string | undefined): unknown =>
  path === undefined ? undefined : readJson(path, 'config');
