// Which launches of a device a launch of the plan becomes.

import { unsupportedShape } from '../../support/errors/plan.ts';
import type { Kernel } from '../launch.ts';
import type { AnyLaunch, Launch } from '../types.ts';
import type { DeviceScheduler, Lower } from './launch.ts';

const lowerings: { readonly [K in Kernel]?: Lower<K> } = {};

/** @throws UltramemError `unsupported-shape` where no kernel of native/cuda serves the launch */
export function lower(launch: AnyLaunch, at: DeviceScheduler): void {
  const own = lowerings[launch.kernel] as ((launch: Launch, at: DeviceScheduler) => void) | undefined;
  if (own === undefined)
    throw unsupportedShape(launch.kernel, 'its place', 'prepare, which runs on the CPU', 'a step', launch.loc);
  own(launch as Launch, at);
}
