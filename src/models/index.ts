// Presets: models and layers written with the public words of the DSL.

export { type Config, type ConfigRules, readConfig } from './config.ts';
export { type DecoderOptions, decoder, type MemoryNames } from './decoder.ts';
export {
  type BlockOptions,
  type BlockResult,
  type DenseFeedForward,
  decoderBlock,
  type MoeFeedForward,
} from './dense.ts';
export { type ExpertOptions, type MoeOptions, moe } from './moe.ts';
export { type Placement, parsePlacement } from './placement.ts';
export { decoderFromConfig, layerFromConfig } from './reference-config.ts';
export { referencePermutation } from './reference-taps.ts';
export { type UltramemV1Options, ultramemV1 } from './ultramem-v1.ts';
