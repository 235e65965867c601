// One UltraMem V1 layer, ready to run: compiled by this project, or on ONNX Runtime.

import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { model } from 'ultramem';
import { compile } from 'ultramem/compile';
import { ultramemV1 } from 'ultramem/models';
import { openNative, requireAddon, type Tensor } from 'ultramem/runtime';
import { type LayerWeights, sizes } from './layer-weights.ts';
import { fromRoot } from './paths.ts';

/** A layer with its threads. */
export interface LayerEngine {
  readonly name: string;
  /** Computes the same as all others but for the order of sums; else weights are rounded, and choices may fall otherwise. */
  readonly exact: boolean;
  /** x f32[T,D] → y f32[T,D]; ours writes it to `y` where that is given. */
  run(x: Tensor<'f32'>, y?: Float32Array): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** As much of onnxruntime-node as is used. */
interface OnnxRuntime {
  readonly Tensor: new (dtype: 'float32', data: Float32Array, shape: readonly number[]) => unknown;
  readonly InferenceSession: {
    create(model: Uint8Array, options: Record<string, unknown>): Promise<OnnxSession>;
  };
}
interface OnnxSession {
  run(feeds: Record<string, unknown>): Promise<Record<string, { readonly data: Float32Array }>>;
  release(): Promise<void>;
}

/** Compiles the layer for this machine, loads the weights into memory of its own, and opens a session. */
export async function compiledLayer(
  weights: LayerWeights,
  threads: number,
  precision: 'f32' | 'bf16',
): Promise<LayerEngine> {
  const layer = model('bench-layer', (m) => {
    const x = m.input('x', [m.symbol('T'), sizes.width]);
    m.output('y', ultramemV1(m, x, sizes));
  });
  const { addon } = await compile(layer, { outDir: fromRoot(`out/bench/layer-${precision}`), precision });
  const { native, session } = await openNative(requireAddon(pathToFileURL(addon).href, basename(addon)), weights, {
    threads,
    copy: true,
  });
  return {
    name: precision === 'f32' ? 'ultramem' : 'ultramem, bf16',
    exact: precision === 'f32',
    run: async (x, y) => (await session.forward({ x }, y && { outputs: { y } })).y!.data as Float32Array,
    async dispose() {
      await session[Symbol.asyncDispose]();
      native.dispose();
    },
  };
}

/** Opens an ONNX graph of the layer. */
export async function onnxLayer(name: string, graph: Uint8Array, threads: number): Promise<LayerEngine> {
  const onnxRuntime = createRequire(import.meta.url)('onnxruntime-node') as OnnxRuntime;
  const session = await onnxRuntime.InferenceSession.create(graph, {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    interOpNumThreads: 1,
    intraOpNumThreads: threads,
  });
  return {
    name,
    exact: true,
    run: async ({ data, shape }) => (await session.run({ x: new onnxRuntime.Tensor('float32', data, shape) })).y!.data,
    dispose: () => session.release(),
  };
}
