// The folder of a trace → what is to be run again. Anybody may have written it: every size, name and path is checked against
// the files that are there before a byte is allocated or a program is started.

import { readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { kernelsVersion } from '../codegen/kernels-json.ts';
import { type DType, dtypeBytes } from '../support/dtype.ts';
import { traceFileBroken, traceMalformed, traceMissing, traceVersion } from '../support/errors/trace.ts';
import type { TracedMemory } from './trace-folder.ts';

/** A launch as replay needs it. */
export interface ReadLaunch {
  readonly kernel: string;
  readonly place: string;
  readonly source: string;
  readonly grid: readonly number[];
  readonly block: readonly number[];
  readonly shared: number;
  readonly finished: boolean;
  readonly arguments: readonly { readonly name: string; readonly buffer: string; readonly offset: number }[];
  readonly memory: readonly (TracedMemory & { readonly written: boolean })[];
}

export interface ReadTrace {
  /** Absolute, without links. */
  readonly folder: string;
  readonly model: string;
  readonly march: string;
  readonly sources: readonly string[];
  readonly launches: readonly ReadLaunch[];
}

/** Most that a launch may take: what devices allow, and what the emulator has addresses for. */
const MOST = {
  json: 2 ** 28,
  launches: 1e6,
  arguments: 512,
  grid: [2 ** 31 - 1, 65535, 65535],
  threads: 1024,
  shared: 227 * 1024,
  memory: 15 * 2 ** 30,
} as const;

/**
 * Reads and checks a trace.
 * @throws UltramemError trace-missing, trace-version, trace-malformed, trace-file
 */
export async function readTrace(named: string): Promise<ReadTrace> {
  const folder = await realpath(named).catch(() => undefined);
  if (folder === undefined) throw traceMissing(named, 'there is no such folder');
  const path = join(folder, 'kernels.json');
  const root = new Reader(path, '', await parsed(named, path));
  const version = root.object().version;
  if (version !== kernelsVersion) throw traceVersion(path, version, kernelsVersion);
  if ('variants' in root.object()) throw traceMissing(named, 'its kernels.json describes kernels, but no run of them');
  const march = root.get('march').matches(/^[\w.+-]{1,64}$/, 'a name that -march takes');
  const launches = root.get('steps').items(MOST.launches).flatMap(readStep);
  if (launches.length > MOST.launches) throw root.wrong(`at most ${MOST.launches} launches`);
  if (launches.length === 0) throw traceMissing(named, 'no launch ran while it was written');
  const sources = [...new Set(launches.map(({ source }) => source))];
  for (const source of sources) await fileOf(folder, source);
  for (const { memory } of launches) {
    for (const { bytes, before, after } of memory) {
      for (const file of after === undefined ? [before] : [before, after]) await fileOf(folder, file, bytes);
    }
  }
  return { folder, model: root.get('model').text(200), march, sources, launches };
}

async function parsed(named: string, path: string): Promise<unknown> {
  const there = await stat(path).catch(() => undefined);
  if (there === undefined) throw traceMissing(named, 'it has no kernels.json');
  if (!there.isFile() || there.size > MOST.json) throw traceMalformed(path, 'it', 'a file of JSON', there.size);
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    throw traceMalformed(path, 'it', 'JSON', text.slice(0, 40));
  }
}

function readStep(step: Reader): ReadLaunch[] {
  const source = step.get('source').matches(/^\w[\w.-]{0,100}\.cu$/, 'the name of a .cu of the folder');
  return step
    .get('launches')
    .items(MOST.launches)
    .map((launch) => readLaunch(launch, source));
}

function readLaunch(launch: Reader, source: string): ReadLaunch {
  const grid = extents(launch.get('grid'), MOST.grid);
  const block = extents(launch.get('block'), [MOST.threads, MOST.threads, MOST.threads]);
  if (block.reduce((n, extent) => n * extent, 1) > MOST.threads) {
    throw launch.get('block').wrong(`at most ${MOST.threads} threads`);
  }
  const pieces = launch.get('memory').items(MOST.arguments).map(readMemory);
  const sizes = new Map(pieces.map(({ buffer, bytes }) => [buffer, bytes]));
  if (sizes.size < pieces.length) throw launch.get('memory').wrong('one piece per buffer');
  if (pieces.reduce((sum, { bytes }) => sum + bytes, 0) > MOST.memory) {
    throw launch.get('memory').wrong(`at most ${MOST.memory} bytes together`);
  }
  const written = new Set<string>();
  const operands = launch
    .get('arguments')
    .items(MOST.arguments)
    .map((argument) => {
      const operand = readArgument(argument, sizes);
      if (argument.get('access').matches(/^(?:read|write|update)$/, 'read, write or update') !== 'read') {
        written.add(operand.buffer);
      }
      return operand;
    });
  const finished = launch.get('finished').value === true;
  for (const [i, { buffer, after }] of pieces.entries()) {
    if (finished && written.has(buffer) !== (after !== undefined)) {
      throw launch.get('memory').get(i).wrong('with `after` where an argument writes to it, and only there');
    }
  }
  return {
    kernel: launch.get('kernel').matches(/^[A-Za-z_]\w{0,200}$/, 'a C++ identifier'),
    place: launch.get('place').text(4096),
    source,
    grid,
    block,
    shared: launch.get('shared').integer(0, MOST.shared),
    finished,
    arguments: operands,
    memory: pieces.map((piece) => ({ ...piece, written: written.has(piece.buffer) })),
  };
}

function readMemory(piece: Reader): TracedMemory {
  const bytes = piece.get('bytes').integer(1, MOST.memory);
  const file = (key: string): string => {
    const path = piece
      .get(key)
      .matches(/^[\w.-]{1,200}(?:\/[\w.-]{1,200}){0,8}$/, 'the path of a file below the folder');
    if (path.split('/').some((part) => /^\.+$/.test(part))) throw piece.get(key).wrong('a path below the folder');
    return path;
  };
  let end = 0;
  const unwritten = (piece.has('unwritten') ? piece.get('unwritten').items(1e6) : []).map((range) => {
    const begin = range.get(0).integer(end, bytes);
    end = range.get(1).integer(begin, bytes);
    return [begin, end] as const;
  });
  const after = piece.has('after') ? file('after') : undefined;
  return {
    buffer: piece.get('buffer').text(200),
    bytes,
    before: file('before'),
    ...(after !== undefined && { after }),
    unwritten,
  };
}

function readArgument(argument: Reader, sizes: ReadonlyMap<string, number>): ReadLaunch['arguments'][number] {
  const buffer = argument.get('buffer').text(200);
  const bytes = sizes.get(buffer);
  if (bytes === undefined) throw argument.get('buffer').wrong('a buffer of the memory of its launch');
  const offset = argument.get('offset').integer(0, bytes);
  const size = dtypeBytes[argument.get('dtype').matches(/^(?:f32|f16|bf16|i32|i64|i8|f8)$/, 'a dtype') as DType];
  const shape = argument.get('shape').items(16);
  const strides = argument.get('strides').items(16);
  if (strides.length !== shape.length) throw argument.get('strides').wrong('as many as the shape has');
  let last = 0; // element
  for (const [axis, dim] of shape.entries()) last += (dim.integer(1, bytes) - 1) * strides[axis]!.integer(0, bytes);
  if (offset + (last + 1) * size > bytes) throw argument.wrong(`within the ${bytes} bytes of its buffer`);
  return { name: argument.get('name').text(200), buffer, offset };
}

function extents(of: Reader, most: readonly number[]): number[] {
  const items = of.items(3);
  if (items.length !== 3) throw of.wrong('three sizes');
  return items.map((item, i) => item.integer(1, most[i]!));
}

/** @throws UltramemError trace-file where the path is none of a file in the folder, or the file not as long as it should be */
async function fileOf(folder: string, path: string, bytes?: number): Promise<void> {
  const full = join(folder, path);
  const real = await realpath(full).catch(() => undefined);
  if (real === undefined) throw traceFileBroken(full, 'is missing');
  if (!real.startsWith(folder + sep)) throw traceFileBroken(full, 'lies outside of the trace');
  const { size, isFile } = await stat(real).then((there) => ({ size: there.size, isFile: there.isFile() }));
  if (!isFile) throw traceFileBroken(full, 'is no file');
  if (bytes !== undefined && size !== bytes) {
    throw traceFileBroken(full, `has ${size} bytes, not ${bytes}`, { got: size, wanted: bytes });
  }
}

/** A value of parsed JSON with its place, for messages. */
class Reader {
  readonly #path: string;
  readonly #at: string;
  readonly value: unknown;

  constructor(path: string, at: string, value: unknown) {
    this.#path = path;
    this.#at = at;
    this.value = value;
  }

  wrong(wanted: string): Error {
    return traceMalformed(this.#path, this.#at === '' ? 'it' : this.#at, wanted, this.value);
  }

  object(): Record<string, unknown> {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value))
      throw this.wrong('an object');
    return this.value as Record<string, unknown>;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.object(), key);
  }

  /** A field of an object, an item of a list. */
  get(key: string | number): Reader {
    if (typeof key === 'number') return new Reader(this.#path, `${this.#at}[${key}]`, (this.value as unknown[])?.[key]);
    const at = this.#at === '' ? key : `${this.#at}.${key}`;
    return new Reader(this.#path, at, this.has(key) ? this.object()[key] : undefined);
  }

  items(most: number): Reader[] {
    if (!Array.isArray(this.value) || this.value.length > most) throw this.wrong(`a list of at most ${most}`);
    return this.value.map((_, i) => this.get(i));
  }

  integer(least: number, most: number): number {
    if (!Number.isInteger(this.value) || (this.value as number) < least || (this.value as number) > most) {
      throw this.wrong(`a whole number from ${least} to ${most}`);
    }
    return this.value as number;
  }

  text(most: number): string {
    if (typeof this.value !== 'string' || this.value.length > most)
      throw this.wrong(`a text of at most ${most} letters`);
    return this.value;
  }

  matches(form: RegExp, wanted: string): string {
    if (typeof this.value !== 'string' || !form.test(this.value)) throw this.wrong(wanted);
    return this.value;
  }
}
