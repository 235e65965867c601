// Public face of the profiler: what a program needs to count the kernels of a model.

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
export { type TraceEvent, type TraceFile, traceEvents } from './trace-events.ts';
