// Every option of the mixture of experts, on interpreter, cpu and simt, against plain loops; that it fuses whole; that a decoder of
// it decodes as it prefills; and that options that cannot be are refused.

import {
  DiagnosticsError,
  einsum,
  gather,
  linear,
  matmul,
  model,
  mul,
  reshape,
  silu,
  softmax,
  sum,
  take,
  topk,
  trace,
} from 'ultramem';
import { decoder, type MoeOptions, moe } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Model } from '../../src/compile.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { Interpreter } from '../../src/ir/interpret.ts';
import { openModel } from '../../src/open-model.ts';
import { runPasses } from '../../src/passes/run-passes.ts';
import { convert } from '../../src/runtime/convert.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';
import '../build-folder.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';
import { naiveMoe } from './naive-moe.ts';

const test = suite('preset: moe');
const base = { width: 13, experts: 7, kept: 3, inner: 11 } as const;

interface Case extends Partial<MoeOptions> {
  /** All tokens choose expert 4 before others, and never expert 2. */
  readonly skewed?: boolean;
}

const cases: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(
    (['swiglu', 'gelu'] as const).flatMap((activation) =>
      (['before', 'after'] as const).flatMap((where) =>
        [false, true].map((renormalise) => [
          `${activation}, softmax ${where}${renormalise ? ', renormalised' : ''}`,
          { activation, softmax: where, renormalise },
        ]),
      ),
    ),
  ),
  'one expert per token': { kept: 1, softmax: 'before' },
  'one expert per token, of weight 1': { kept: 1 },
  'every expert': { kept: 7, softmax: 'before' },
  'one expert in all': { experts: 1, kept: 1, softmax: 'before' },
  'all tokens to one expert, nobody to another': { kept: 1, softmax: 'before', skewed: true },
  'a favourite among the kept': { kept: 2, skewed: true, activation: 'gelu' },
  'many experts, wider inside': { experts: 40, kept: 5, inner: 50, width: 20 },
};

const modelOf = (options: MoeOptions): Model =>
  model('moe', (m) => {
    const x = m.input('x', [m.symbol('T', { bound: 40 }), options.width]);
    m.output('y', moe(m, x, options));
  });

function weightsOf(graph: Graph, random: Random, { skewed = false }: Case = {}): Map<string, Tensor> {
  return new Map(
    graph.weights.map(({ name, type }): [string, Tensor] => {
      const value = random.f32(type.shape as number[], () => 0.5 * random.normal());
      if (skewed && name === 'router.weight') {
        // Inputs are positive then, so that a row of large numbers is large for all of them.
        const width = type.shape[1] as number;
        value.data.fill(9, 4 * width, 5 * width);
        value.data.fill(-9, 2 * width, 3 * width);
      }
      return [name, value];
    }),
  );
}

const rowsOf = ({ data, shape }: Tensor): number[][] =>
  Array.from({ length: shape[0]! }, (_, t) => Array.from(data.slice(t * shape[1]!, (t + 1) * shape[1]!), Number));

function close(got: Tensor, wanted: readonly number[][], tolerance: number, what: string): void {
  const flat = wanted.flat();
  assert.is(got.data.length, flat.length, what);
  const error = Math.hypot(...flat.map((value, i) => value - Number(got.data[i]))) / Math.hypot(...flat);
  assert.ok(error <= tolerance, `${what}: relative l2 error ${error}`);
}

const options = Object.values(cases).map(({ skewed: _, ...rest }) => ({ ...base, ...rest }));

/** All cases side by side, so that each target compiles once. */
const all = model('moe-cases', (m) => {
  for (const [i, one] of options.entries()) {
    const x = m.input(`x${i}`, [m.symbol('T', { bound: 40 }), one.width]);
    m.output(`y${i}`, moe(m, x, { ...one, prefix: `c${i}.`, taps: `c${i}.` }));
  }
});

for (const target of ['interpreter', 'cpu', 'simt'] as const) {
  test(`${target}: every option, against plain loops`, async () => {
    const random = new Random(seed, 'moe');
    const parts = Object.values(cases).map((given, i) => weightsOf(trace(modelOf(options[i]!)), random, given));
    const weights = parts.flatMap((part, i) => [...part].map(([name, value]) => [`c${i}.${name}`, value] as const));
    await using session = await openModel(all, Object.fromEntries(weights), { target, maxSequences: 1, threads: 2 });
    for (const T of target === 'interpreter' ? [5] : [1, 6, 37]) {
      const inputs = Object.values(cases).map(({ skewed }, i) =>
        random.f32([T, options[i]!.width], () => (skewed ? 0.5 + Math.abs(random.normal()) : random.normal())),
      );
      const outputs = await session.forward(Object.fromEntries(inputs.map((x, i) => [`x${i}`, x])));
      for (const [i, name] of Object.keys(cases).entries()) {
        close(outputs[`y${i}`]!, naiveMoe(options[i]!, parts[i]!, rowsOf(inputs[i]!)), 1e-5, `${name}, T = ${T}`);
      }
    }
  });
}

test('weights have the names and shapes that the preset states', () => {
  const shapes = (options: Partial<MoeOptions>) =>
    Object.fromEntries(
      trace(modelOf({ ...base, ...options })).weights.map(({ name, type }) => [name, type.shape.join()]),
    );
  const two = { 'router.weight': '7,13', 'experts.in.weight': '7,11,13', 'experts.out.weight': '7,13,11' };
  assert.equal(shapes({ activation: 'gelu' }), two);
  assert.equal(shapes({}), { ...two, 'experts.gate.weight': '7,11,13' });
});

const kinds = (graph: Graph): string =>
  graph.nodes
    .filter(({ stage, op }) => stage === 'step' && !['reshape', 'transpose', 'slice', 'constant'].includes(op))
    .map(({ op }) => op)
    .sort()
    .join(' ');

test('experts are never copied out, whatever words say them', () => {
  const fused = 'elementwise expert_linear expert_linear expert_linear score_topk softmax';
  assert.is(kinds(runPasses(trace(modelOf(base))).graph), fused);
  // All experts first, then a pick; scores on the activations; matrices the other way round; an expert by itself and a sum.
  const spelled = trace(
    model('spelled', (m) => {
      const x = m.input('x', [m.symbol('T'), 13]);
      const [best, index] = topk(linear(x, m.weight('router', [7, 13])), { k: 3 });
      const of = (name: string) => take(einsum('td,end->ten', x, m.weight(name, [7, 11, 13])), index);
      const active = mul(mul(silu(of('gate')), of('in')), reshape(softmax(best), ['T', 3, 1]));
      m.output(
        'y',
        sum(matmul(reshape(active, ['T', 3, 1, 11]), gather('eid,tk->tkid', m.weight('out', [7, 11, 13]), index)), {
          axis: 1,
        }),
      );
    }),
  );
  assert.is(kinds(runPasses(spelled).graph), fused);
});

const decoding = {
  ...{ vocab: 19, width: 16, heads: 4, layers: 2, context: 12, maxSequences: 2, maxTokens: 16 },
  feedForward: { kind: 'moe', experts: 5, kept: 2, inner: 12, softmax: 'before', renormalise: true },
} as const;

test('a decoder of experts decodes with its cache what it gives for the whole text', async () => {
  const lm = model('moe-decoder', (m) => decoder(m, decoding));
  const weights = weightsOf(trace(lm), new Random(seed, 'decoder'));
  const names = [...weights.keys()];
  assert.ok(
    names.includes('transformer.blocks.1.experts.gate.weight') && !names.some((name) => name.includes('ff_proj')),
  );
  const ids = [3, 1, 4, 1, 5, 9, 2, 6];
  const column = (from: number, to: number, of: (i: number) => number) =>
    tensor(
      'i32',
      [to - from],
      Int32Array.from({ length: to - from }, (_, i) => of(from + i)),
    );
  const inputs = (from: number, to: number, sequence: number) => ({
    ids: column(from, to, (i) => ids[i]!),
    positions: column(from, to, (i) => i),
    sequence: column(from, to, () => sequence),
  });
  const whole = new Interpreter(trace(lm), { weights, symbols: { S: 2 } }).step(inputs(0, ids.length, 0)).outputs
    .logits!;
  for (const target of ['interpreter', 'cpu', 'simt'] as const) {
    await using session = await openModel(lm, Object.fromEntries(weights), { target, maxSequences: 2, threads: 2 });
    const { logits } = await session.forward(inputs(0, ids.length, 0));
    close(logits!, rowsOf(whole), 1e-5, `${target}, the whole text`);
    for (let i = 0; i < ids.length; i++) {
      const one = await session.forward(inputs(i, i + 1, 1));
      close(one.logits!, [rowsOf(whole)[i]!], 1e-5, `${target}, token ${i}`);
    }
  }
});

test('with weights as bf16 results are off by roundings', async () => {
  const options = { ...base, width: 48, inner: 40 };
  const layer = modelOf(options);
  const random = new Random(seed, 'narrow');
  // Values that bf16 holds, so that routers choose alike.
  const narrow = (value: Tensor): Tensor => convert(convert(value, 'bf16'), 'f32');
  const weights = new Map([...weightsOf(trace(layer), random)].map(([name, value]) => [name, narrow(value)]));
  for (const target of ['cpu', 'simt'] as const) {
    await using session = await openModel(layer, Object.fromEntries(weights), {
      target,
      precision: 'bf16',
      maxSequences: 1,
      threads: 2,
    });
    for (const T of [1, 6, 37]) {
      const x = narrow(random.f32([T, options.width]));
      const { y } = await session.forward({ x });
      close(y!, naiveMoe(options, weights, rowsOf(x)), 1e-2, `${target}, T = ${T}`);
    }
  }
});

for (const [name, options, part] of [
  ['no experts', { experts: 0 }, /moe: experts.*got: 0.*at least 1.*dense/s],
  ['half an expert', { experts: 2.5 }, /moe: experts/],
  ['no expert kept', { kept: 0 }, /moe: kept.*at least 1/s],
  ['more kept than there are', { kept: 8 }, /keeps 8 of 7 experts.*at most 7/s],
  ['no inner width', { inner: 0 }, /moe: inner/],
  ['an unknown activation', { activation: 'relu' as 'gelu' }, /moe: activation.*"relu".*swiglu or gelu/s],
  ['a softmax elsewhere', { softmax: 'never' as 'after' }, /moe: softmax.*before or after/s],
] as const) {
  test(`refuses ${name}, at the call`, () => {
    try {
      trace(modelOf({ ...base, ...options }));
    } catch (error) {
      assert.instance(error, DiagnosticsError);
      const { diagnostics } = error as DiagnosticsError;
      const [{ message, got, wanted, hint, loc }] = diagnostics as [(typeof diagnostics)[0]];
      assert.match(`${message} got: ${got} wanted: ${wanted} ${hint}`, part);
      assert.match(loc!.file, /moe\.test\.ts$/);
      return;
    }
    assert.unreachable('traced');
  });
}

test('a decoder refuses experts that cannot be', () => {
  const feedForward = { ...decoding.feedForward, kept: 6 } as const;
  assert.throws(
    () => trace(model('refused', (m) => decoder(m, { ...decoding, feedForward }))),
    (error: unknown) => error instanceof DiagnosticsError && /keeps 6 of 5 experts/.test(error.message),
  );
});

test.run();
