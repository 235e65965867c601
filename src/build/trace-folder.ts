// The folder of a trace: made before a step, put in order after it. The addon leaves raw files and a log (see
// native/addon/simt_tracer.h); here files get names, equal ones are kept once, and kernels.json says what each is.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Files } from '../codegen/emit.ts';
import { jsonText, type KernelsDescription, kernelsVersion, type LaunchDescription } from '../codegen/kernels-json.ts';
import { folderFault } from '../support/errors/build.ts';
import { traceFolderNotEmpty } from '../support/errors/trace.ts';
import { invariant } from '../support/errors.ts';
import { copyDeviceHeaders } from './device-headers.ts';
import { writeAtomically, writeFiles } from './write-files.ts';

/** A buffer of a launch: what it held before, and after where the kernel may write to it. */
export interface TracedMemory {
  readonly buffer: string;
  readonly bytes: number;
  /** Raw file; in what `unwritten` names it holds whatever was there, and no kernel may read that before it wrote it. */
  readonly before: string;
  readonly after?: string;
  /** From byte to byte. */
  readonly unwritten?: readonly (readonly [begin: number, end: number])[];
}

/** As in kernels.json of a compilation, with the sizes of this step for symbols. */
export interface TracedLaunch extends LaunchDescription {
  readonly memory: readonly TracedMemory[];
  /** False: the kernel broke a rule, and nothing of what it left is here. */
  readonly finished: boolean;
}

export interface TracedStep {
  readonly variant: string;
  readonly symbols: Readonly<Record<string, number>>;
  readonly source: string;
  readonly launches: readonly TracedLaunch[];
}

/** kernels.json of a trace. */
export interface Trace {
  readonly version: number;
  readonly model: string;
  /** Processor that the kernels were compiled for. */
  readonly march: string;
  readonly steps: readonly TracedStep[];
}

const hint = 'Choose another one with --trace.';

/**
 * Makes the folder that an addon is to trace into.
 * @throws UltramemError trace-folder-not-empty, folder-not-writable, disk-full, not-a-folder
 */
export async function beginTrace(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    const holds = await readdir(folder);
    if (holds.length > 0) throw traceFolderNotEmpty(folder, holds);
    await writeFile(join(folder, 'log'), '');
    await rm(join(folder, 'log')); // a run that fails before its step leaves nothing in the way of the next
  } catch (cause) {
    throw folderFault(folder, 'trace folder', cause, hint);
  }
}

/**
 * Puts in order what an addon with these kernels left in the folder. Safe after a step that failed: what ran until then is kept.
 * @param files the sources that the addon was built from
 * @throws UltramemError folder-not-writable, disk-full
 */
export async function endTrace(
  folder: string,
  kernels: KernelsDescription,
  files: Files,
  march: string,
): Promise<Trace> {
  try {
    const entries = parseLog(await readFile(join(folder, 'log'), 'utf8').catch(() => ''));
    const place = placing(folder);
    const steps: (TracedStep & { launches: TracedLaunch[] })[] = [];
    for (const [number, entry] of entries.entries()) {
      const kind = kernels.variants[entry.variant];
      const described = kind?.launches[entry.launch];
      invariant(kind !== undefined && described !== undefined, 'the log of a trace is of another plan');
      if (entry.launch === 0) {
        const symbols = Object.fromEntries(kernels.symbols.map((name, i) => [name, entry.symbols[i]!]));
        steps.push({ variant: kind.variant, symbols, source: kind.source, launches: [] });
      }
      const step = steps.at(-1)!;
      step.launches.push(await traced(described, entry, number, step.symbols, place));
    }
    await writeFiles(folder, new Map(steps.map(({ source }) => [source, files.get(source)!])));
    await copyDeviceHeaders(folder);
    const trace: Trace = { version: kernelsVersion, model: kernels.model, march, steps };
    await writeAtomically(join(folder, 'kernels.json'), jsonText(trace));
    await rm(join(folder, 'log'), { force: true });
    return trace;
  } catch (cause) {
    throw folderFault(folder, 'trace folder', cause, hint);
  }
}

/** One launch of the log. */
interface Entry {
  readonly variant: number;
  readonly launch: number;
  readonly symbols: readonly number[];
  readonly before: Map<number, number>; // argument → bytes
  readonly unwritten: Map<number, [number, number][]>;
  readonly after: Set<number>;
  finished: boolean;
}

function parseLog(log: string): Entry[] {
  const entries: Entry[] = [];
  for (const line of log.split('\n')) {
    const [word, ...rest] = line.split(' ');
    const [first = 0, second = 0, third = 0] = rest.map(Number);
    const entry = entries.at(-1);
    if (word === 'launch') {
      const symbols = rest.slice(2).map(Number);
      const empty = { before: new Map(), unwritten: new Map(), after: new Set<number>(), finished: false };
      entries.push({ variant: first, launch: second, symbols, ...empty });
    } else if (word === 'before') entry?.before.set(first, second);
    else if (word === 'unwritten') {
      const ranges = entry?.unwritten.get(first) ?? [];
      ranges.push([second, third]);
      entry?.unwritten.set(first, ranges);
    } else if (word === 'after') entry?.after.add(first);
    else if (word === 'done' && entry !== undefined) entry.finished = true;
  }
  return entries;
}

async function traced(
  described: LaunchDescription,
  entry: Entry,
  number: number,
  symbols: Readonly<Record<string, number>>,
  place: (raw: string, name: string) => Promise<string>,
): Promise<TracedLaunch> {
  const name = `${String(number).padStart(3, '0')}-${described.calls}`;
  const memory: TracedMemory[] = [];
  for (const [argument, bytes] of entry.before) {
    const { name: called, buffer } = described.arguments[argument]!;
    const file = (when: string) => place(`${number}.${argument}.${when}`, `${name}/${called}.${when}.bin`);
    const unwritten = entry.unwritten.get(argument);
    memory.push({
      buffer,
      bytes,
      before: await file('before'),
      ...(entry.after.has(argument) && { after: await file('after') }),
      ...(unwritten !== undefined && { unwritten }),
    });
  }
  const sized = described.arguments.map((argument) => ({
    ...argument,
    shape: argument.shape.map((dim) => (typeof dim === 'string' ? symbols[dim]! : dim)),
  }));
  return { ...described, arguments: sized, finished: entry.finished, memory };
}

/** Gives a raw file its name, or takes it away and gives the name of one with the same bytes. */
function placing(folder: string): (raw: string, name: string) => Promise<string> {
  const known = new Map<string, string>();
  return async (raw, name) => {
    const from = join(folder, raw);
    const digest = await digestOf(from);
    const same = known.get(digest);
    if (same !== undefined) {
      await rm(from);
      return same;
    }
    await mkdir(join(folder, name, '..'), { recursive: true });
    await rename(from, join(folder, name));
    known.set(digest, name);
    return name;
  };
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}
