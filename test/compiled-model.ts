// Models that several suites run, compiled once through the shared build cache and loaded as users load them.

import { fileURLToPath, pathToFileURL } from 'node:url';
import bytesLm from '../examples/bytes-lm/model.ts';
import { type CompileOptions, compile, loadModel, type Model } from '../src/compile.ts';
import type {
  CompiledModel,
  CompiledModelOptions,
  Session,
  SessionOptions,
  WeightsLike,
} from '../src/runtime/index.ts';
import { openGoldens } from '../src/verify/golden.ts';
import { freshFolder } from './build-folder.ts';

/** What an emitted class is to a test. */
export type EmittedModel = CompiledModel &
  Pick<Session, 'forward' | 'generate' | 'complete'> & { openSession(options?: SessionOptions): EmittedModel };
export interface EmittedClass {
  load(weights: WeightsLike, options?: CompiledModelOptions): Promise<EmittedModel>;
}

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The trained checkpoint. */
export const checkpoint = path('../examples/bytes-lm/ultramem-bytes.safetensors');
/** A case of the reference with a small layer: its weights and its input. */
export const layerCase = path('reference/goldens/v1_small.safetensors');

/** The class of examples/bytes-lm. */
export const compiledBytesLm = (): Promise<EmittedClass> => emitted(bytesLm, 'BytesLm');

/** The class of the layer of `layerCase`; taps as verification has them, so that both use one addon. */
export const compiledLayer = async (): Promise<EmittedClass> => emitted(await layerModel(), 'V1Small', { taps: true });

/** The layer of `layerCase`. */
export async function layerModel(): Promise<Model> {
  const [golden] = await openGoldens(layerCase);
  const { name, config } = golden!;
  return loadModel(path('../examples/layer.ts'), { name, config });
}

async function emitted(model: Model, className: string, options: CompileOptions = {}): Promise<EmittedClass> {
  const { dir } = await compile(model, { ...options, outDir: freshFolder(model.name) });
  const module = (await import(pathToFileURL(`${dir}/model.ts`).href)) as Record<string, EmittedClass>;
  return module[className]!;
}
