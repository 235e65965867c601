// Public face of the profiler: what a program needs to count the kernels of a model, and to time its steps.

export { type Bench, type BenchedStep, type BenchMachine, type BenchOptions, bench } from './bench.ts';
export { type BenchedTexts, benchTexts, type TextsBench, type TextsOptions } from './bench-texts.ts';
export { type ProjectedDevice, projectedDevices } from './devices.ts';
export {
  type Bytes,
  bytesOf,
  type Figures,
  type Profile,
  type ProfiledKernel,
  type ProfiledLaunch,
  type ProfiledStep,
  type ProfileOptions,
  profile,
  totalOf,
} from './profile.ts';
export {
  type Contender,
  inRounds,
  median,
  type Ratio,
  type RoundsOptions,
  ratioOf,
  type Timing,
} from './rounds.ts';
export { type TraceEvent, type TraceFile, traceEvents } from './trace-events.ts';
