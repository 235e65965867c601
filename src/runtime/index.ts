// Public face of the runtime: what generated classes import, and what a program needs besides.

export { type DType, dtypeBytes } from '../support/dtype.ts';
export { UltramemError } from '../support/errors.ts';
export type { OnProgress, Progress } from '../support/progress.ts';
export { type HostArrays, type Tensor, tensor, zeros } from '../support/tensor.ts';
export { chooseTokenizer } from './choose-tokenizer.ts';
export { CompiledModel, type CompiledModelOptions, type Opened, openNative, requireAddon } from './compiled-model.ts';
export type { BatchOptions } from './continuous-batch.ts';
export {
  boundOf,
  type DescribedDim,
  type DescribedSymbol,
  type DescribedTensor,
  type DescribedWeight,
  isLanguageModel,
  type ModelDescription,
  mostTokens,
  type SymbolValues,
  type TokenizerDescription,
} from './description.ts';
export type { CallOptions, Engine, EngineStep, ForwardOptions, LoadedModel } from './engine.ts';
export type { FinishReason, GeneratedToken, GenerateOptions, Generation } from './generate.ts';
export type { InputValue } from './inputs.ts';
export {
  estimateLoad,
  type LoadEstimate,
  type MemoryEstimate,
  type MemoryUse,
  type SessionMemory,
  statesBytes,
  type WeightsMemory,
} from './memory.ts';
export type { LaunchCounters, NativeAddon, NativeDescription, NativeVariant, Observe } from './native-addon.ts';
export { type LoadOptions, loadNative, type NativeEngine, type NativeModel } from './native-engine.ts';
export type { GivenOutputs } from './outputs.ts';
export {
  openSafetensors,
  readSafetensors,
  readTensor,
  type SafetensorsFiles,
  type StoredDType,
  type StoredTensor,
} from './safetensors.ts';
export { writeSafetensors } from './safetensors-write.ts';
export {
  type Choice,
  checkSampling,
  createSampler,
  greedy,
  type Sampler,
  type Sampling,
  type SamplingOptions,
} from './sampling.ts';
export type { Sequences } from './sequences.ts';
export { Session, type SessionOptions, sessionSymbols } from './session.ts';
export type { Tokenizer, TokenStream } from './tokenizer.ts';
export { createByteTokenizer } from './tokenizer-bytes.ts';
export { loadTokenizer } from './tokenizer-file.ts';
export { type MatchedWeights, type MatchOptions, matchWeights, readWeights, type WeightsLike } from './weights.ts';
