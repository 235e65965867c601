// Steps by the interpreter: no compiler needed, and the same sessions. Slow; the reference of every other engine.

import type { Graph, Type } from './ir/graph.ts';
import { Interpreter, type Settle } from './ir/interpret.ts';
import type { DescribedTensor, Engine, LoadedModel, ModelDescription, SymbolValues } from './runtime/index.ts';
import { followLoad } from './runtime/load-progress.ts';
import { type MemoryUse, noWeights, statesBytes } from './runtime/memory.ts';
import {
  type MatchedWeights,
  type MatchOptions,
  matchWeights,
  readWeights,
  storedBytes,
  type WeightsLike,
} from './runtime/weights.ts';
import { aborted, disposed, stepFailed } from './support/errors/session.ts';
import { UltramemError } from './support/errors.ts';
import type { OnProgress } from './support/progress.ts';
import type { Tensor } from './support/tensor.ts';

export interface InterpretOptions extends MatchOptions {
  /** Give the graph's taps as further outputs. */
  readonly taps?: boolean;
  /** See StepOptions of the interpreter. */
  readonly settle?: Settle | undefined;
  readonly signal?: AbortSignal | undefined;
  /** As of LoadOptions; bytes are those that the file stores. */
  readonly onProgress?: OnProgress | undefined;
}

/** What sessions know of a model, from its graph. */
export function describeGraph(graph: Graph, options: { readonly taps?: boolean } = {}): ModelDescription {
  const types = new Map<string, Type>();
  for (const leaf of [...graph.inputs, ...graph.weights, ...graph.states]) types.set(leaf.id, leaf.type);
  for (const node of graph.nodes) for (const { id, type } of node.results) types.set(id, type);
  const described = (name: string, type: Type, below?: DescribedTensor['below']): DescribedTensor => ({
    name,
    dtype: type.dtype,
    shape: type.shape,
    below,
  });
  const named = [...graph.outputs, ...(options.taps ? graph.taps : [])];
  return {
    name: graph.name,
    symbols: graph.symbols,
    inputs: graph.inputs.map(({ id, type, below }) => described(id, type, below)),
    outputs: named.map(({ name, value }) => described(name, types.get(value)!)),
    weights: graph.weights.map(({ name, type, below, optional, placement }) => ({
      ...described(name, type, below),
      optional,
      placement,
    })),
    states: graph.states.map(({ id, type }) => described(id, type)),
    ...(graph.meta.tokenizer === undefined ? {} : { tokenizer: graph.meta.tokenizer }),
  };
}

/**
 * Reads the weights for interpreting. Every engine prepares them for itself.
 * @throws UltramemError those of matchWeights and readTensor
 */
export async function loadInterpreted(
  graph: Graph,
  weights: WeightsLike,
  options: InterpretOptions = {},
): Promise<LoadedModel> {
  const model = describeGraph(graph, options);
  const matched = await matchWeights(model, weights, options);
  if (options.signal?.aborted) throw aborted('loading weights', options.signal.reason);
  let read: Map<string, Tensor> | undefined = await readFollowed(matched, options);
  if (options.signal?.aborted) throw aborted('loading weights', options.signal.reason);
  const dispose = () => {
    read = undefined;
  };
  return {
    model,
    get bytes() {
      return bytesOf(read ?? new Map());
    },
    openEngine(symbols) {
      if (read === undefined) throw disposed('the model');
      const own = bytesOf(read);
      const session = { states: statesBytes(model, symbols), arena: 0, scratch: 0 };
      const memory = (): MemoryUse => ({
        weights: { ...noWeights, own },
        session,
        rss: process.memoryUsage.rss(),
      });
      return openEngine(model, new Interpreter(graph, { weights: read, symbols }), symbols, memory, options);
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function readFollowed(matched: MatchedWeights, { signal, onProgress }: InterpretOptions): Promise<Map<string, Tensor>> {
  const given = new AbortController();
  const stop = signal === undefined ? given.signal : AbortSignal.any([signal, given.signal]);
  const total = storedBytes(matched);
  let done = 0;
  const onBytes = (count: number): void => {
    done += count;
  };
  return followLoad(
    () => readWeights(matched, { signal: stop, onBytes }),
    () => ({ stage: 'reading weights', done, total }),
    () => given.abort(),
    onProgress,
  );
}

const bytesOf = (tensors: ReadonlyMap<string, Tensor>): number =>
  [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);

function openEngine(
  model: ModelDescription,
  interpreter: Interpreter,
  symbols: SymbolValues,
  memory: Engine['memory'],
  { taps = false, settle }: InterpretOptions,
): Engine {
  let gone = false;
  const dispose = () => {
    gone = true;
  };
  return {
    model,
    symbols,
    async step({ inputs, signal }) {
      // A step blocks; other work of the event loop goes between steps.
      await new Promise((resolve) => setImmediate(resolve));
      if (gone) throw disposed('the session');
      if (signal?.aborted) throw aborted('the step', signal.reason);
      try {
        const result = interpreter.step(inputs, { taps, settle });
        return { ...result.outputs, ...result.taps };
      } catch (error) {
        throw error instanceof UltramemError ? error : stepFailed((error as Error).message, error);
      }
    },
    memory,
    async copySequence(from, to) {
      if (gone) throw disposed('the session');
      for (const { id, type } of interpreter.graph.states) {
        if (typeof type.shape[0] !== 'string') continue; // all sequences share it
        const { data, shape } = interpreter.state(id);
        const size = data.length / shape[0]!;
        data.copyWithin(to * size, from * size, (from + 1) * size);
      }
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}
