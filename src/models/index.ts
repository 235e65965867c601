// Presets: models and layers written with the public words of the DSL.

export { type Config, type ConfigRules, readConfig } from './config.ts';
export { type DecoderOptions, decoder, type MemoryLayer, type MemoryNames } from './decoder.ts';
export {
  type BlockOptions,
  type BlockResult,
  type DenseFeedForward,
  decoderBlock,
  type MoeFeedForward,
  type OwnFeedForward,
} from './dense.ts';
export { type MemoryPlusOptions, memoryPlus, memoryPlusTable } from './memory-plus.ts';
export { type ExpertOptions, type MoeOptions, moe } from './moe.ts';
export { peer } from './peer.ts';
export { type PkmOptions, pkm } from './pkm.ts';
export { type Placement, parsePlacement } from './placement.ts';
export {
  decoderFromConfig,
  layerFromConfig,
  memoryPlusLayersFromConfig,
  v2LayersFromConfig,
} from './reference-config.ts';
export { referenceName, referencePermutation } from './reference-taps.ts';
export { type UltramemV1Options, ultramemV1 } from './ultramem-v1.ts';
export {
  type SharedLayerNames,
  type UltramemV2Options,
  ultramemV2,
  ultramemV2Tables,
  type V2Tables,
} from './ultramem-v2.ts';
