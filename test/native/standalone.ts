// Emitted models as programs of their own: no Node around them, so that any sanitizer can watch them.

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeFiles } from '../../src/build/write-files.ts';
import { emit } from '../../src/codegen/emit.ts';
import type { Graph } from '../../src/ir/index.ts';
import { makePlan } from '../../src/plan/plan.ts';
import type { Plan } from '../../src/plan/plans.ts';
import { readSwitch } from '../../src/support/env.ts';
import { type Tensor, zeros } from '../../src/support/tensor.ts';

const run = promisify(execFile);
const native = fileURLToPath(new URL('../../native', import.meta.url));
const main = fileURLToPath(new URL('step-program.cc', import.meta.url));

/** Steps on fresh states, with the values of the session's symbols. */
export interface StandaloneSession {
  readonly symbols: Readonly<Record<string, number>>;
  readonly steps: readonly { readonly T: number; readonly inputs: Readonly<Record<string, Tensor>> }[];
}

export interface Standalone {
  /** Outputs of every step of every session; what the program prints where it fails is the error. */
  run(
    weights: Readonly<Record<string, Tensor>>,
    sessions: readonly StandaloneSession[],
    threads: number,
  ): Promise<Record<string, Tensor>[][]>;
}

/** Compiles the text that the cpu target emits for `graph`, in `folder`. */
export async function buildStandalone(graph: Graph, folder: string, flags: readonly string[]): Promise<Standalone> {
  const plan = makePlan(graph);
  const files = emit(plan, { source: 'cases.ts', graphBefore: '', graphAfter: '' });
  await writeFiles(folder, files);
  // One source: kernels that several variants instantiate compile once.
  const sources = [...files.keys()].filter((name) => name.endsWith('.cc')).concat('cpu/pool.cc');
  const whole = join(folder, 'whole.cc');
  writeFileSync(whole, [...sources, main].map((name) => `#include "${name}"\n`).join(''));
  const program = join(folder, 'program');
  const standard = ['-std=c++20', '-march=native', '-ffp-contract=fast', '-fno-math-errno', '-Wno-psabi', '-pthread'];
  const defines = ['-DULTRAMEM_DIGEST=""', '-DULTRAMEM_MARCH=""'];
  const args = [...standard, ...flags, ...defines, `-I${folder}`, `-I${native}`, whole, '-o', program];
  await succeed(readSwitch('CXX') ?? 'c++', args);
  return {
    run: async (weights, sessions, threads) => {
      const data = join(folder, 'data');
      const outputs = join(folder, 'outputs');
      writeFileSync(data, encode(plan, weights, sessions));
      await succeed(program, [data, outputs, String(threads)]);
      return decode(plan, readFileSync(outputs), sessions);
    },
  };
}

async function succeed(program: string, args: readonly string[]): Promise<void> {
  try {
    await run(program, args, { timeout: 900_000, maxBuffer: 1 << 26 });
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string };
    throw new Error(`${message.split('\n', 1)[0]}\n${stderr.slice(0, 6000)}`);
  }
}

function encode(
  plan: Plan,
  weights: Readonly<Record<string, Tensor>>,
  sessions: readonly StandaloneSession[],
): Uint8Array {
  const pieces: Uint8Array[] = [];
  const put = ({ data }: Pick<Tensor, 'data'>) =>
    pieces.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const integers = (...values: number[]) => put({ data: BigInt64Array.from(values, BigInt) });
  const bounds = Object.fromEntries(plan.symbols.map(({ name, bound }) => [name, bound]));
  for (const { name, type } of plan.weights) put(weights[name] ?? zeros(type.dtype, sized(type.shape, bounds)));
  integers(sessions.length);
  for (const { symbols, steps } of sessions) {
    integers(...plan.symbols.map(({ name }) => symbols[name] ?? 0), steps.length);
    for (const { T, inputs } of steps) {
      integers(T);
      for (const { name } of plan.inputs) put(inputs[name]!);
    }
  }
  return Buffer.concat(pieces);
}

function decode(plan: Plan, bytes: Buffer, sessions: readonly StandaloneSession[]): Record<string, Tensor>[][] {
  let at = 0;
  const token = plan.symbols.find(({ scope }) => scope === 'step')?.name ?? 'T';
  const results = sessions.map(({ symbols, steps }) =>
    steps.map(({ T }) =>
      Object.fromEntries(
        plan.outputs.map(({ name, type }) => {
          const tensor = zeros(type.dtype, sized(type.shape, { ...symbols, [token]: T }));
          const { buffer, byteLength } = tensor.data;
          new Uint8Array(buffer as ArrayBuffer).set(bytes.subarray(at, (at += byteLength)));
          return [name, tensor as Tensor];
        }),
      ),
    ),
  );
  if (at !== bytes.length) throw new Error(`the program wrote ${bytes.length} bytes, not ${at}`);
  return results;
}

const sized = (shape: readonly (number | string)[], symbols: Readonly<Record<string, number>>): number[] =>
  shape.map((dim) => (typeof dim === 'number' ? dim : symbols[dim]!));
