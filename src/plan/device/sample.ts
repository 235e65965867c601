// Sampling on a device: launches that choose tokens from the logits of a step, run behind it where a caller asks for tokens.

import type { Graph } from '../../ir/graph.ts';
import { dtypeBytes } from '../../support/dtype.ts';
import { align } from '../arena.ts';
import type { Buffer, PlanTensor, SampleStep, Space, View } from '../types.ts';
import { denseView } from '../views.ts';
import type { DeviceLaunch } from './launch.ts';
import { firstStride, reads, writes } from './operands.ts';

/** Threads of native/cuda/sample.cuh. */
const THREADS = 256;
/** 64-bit words of a choice, as native/addon/device.h and native/cuda/sample.cuh have them. */
const CHOICE_WORDS = 6;

/**
 * A launch for an output `logits`, f32[T,N], that chooses among the ids which the model takes: at most T tokens per step; undefined for
 * graphs without one.
 */
export function planSampling(
  { symbols, nodes, inputs }: Graph,
  outputs: readonly PlanTensor[],
): SampleStep<DeviceLaunch> | undefined {
  const index = outputs.findIndex(({ name }) => name === 'logits');
  const type = outputs[index]?.type;
  const [rows, vocab] = type?.shape ?? [];
  const tokens = symbols.find(({ name, scope }) => scope === 'step' && name === rows);
  if (type?.dtype !== 'f32' || type.shape.length !== 2 || tokens === undefined || typeof vocab !== 'number') {
    return undefined;
  }
  const maxTokens = tokens.bound;
  const below = inputs.find(({ id }) => id === 'ids')?.below;
  const ids = typeof below === 'number' ? Math.min(vocab, below) : vocab;
  const buffers: Buffer[] = [];
  const view = (name: string, space: Space, at: number, dtype: View['dtype'], inner: readonly number[]): View => {
    const shape = [rows!, ...inner];
    const bytes = align(inner.reduce((n, dim) => n * dim, maxTokens) * dtypeBytes[dtype]);
    const holds = `${dtype}[${shape.join(',')}]`;
    buffers.push({ name, space, dtype, shape, holds, index: at, bytes, offset: 0, first: 0, last: 0 });
    return denseView({ name }, { dtype, shape });
  };
  const logits = view('out_logits', 'output', index, 'f32', [vocab]);
  const choices = view('choices', 'choices', 0, 'i64', [CHOICE_WORDS]);
  const chosen = view('chosen', 'chosen', 0, 'i32', []);
  const launch: DeviceLaunch = {
    kernel: 'sample',
    header: 'sample',
    constants: [ids, firstStride(logits)],
    rows: { factor: 1, tokens: true },
    pointers: [reads('logits', logits), reads('choices', choices), writes('chosen', chosen)],
    scalars: [],
    grid: [maxTokens, 1, 1],
    block: [THREADS, 1, 1],
    shared: 0,
    stream: 0,
    computes: 'a token from each row of logits that is asked for',
    nodes: [],
    loc: nodes.find(({ results }) => results.some(({ id }) => id === outputs[index]!.id))?.loc,
  };
  return { name: 'sample', minTokens: 1, maxTokens, launches: [launch], buffers, bytes: 0 };
}
