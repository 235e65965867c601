// Plans by what runs their steps.

import type { DeviceLaunch, DeviceStep } from './device/launch.ts';
import type { AnyLaunch, PlanFor } from './types.ts';

/** Everything runs on the CPU. */
export type CpuPlan = PlanFor<'cpu', AnyLaunch>;

/** Prepare runs on the CPU, steps run on a device: with the driver of a GPU (cuda), or thread by thread on the CPU (simt). */
export type DevicePlan = PlanFor<'cuda', DeviceLaunch>;

/** All that a device is handed to run, in the order of its numbers. */
export const deviceSteps = ({ variants, sample }: DevicePlan): readonly DeviceStep[] =>
  sample === undefined ? variants : [...variants, sample];

export type Plan = CpuPlan | DevicePlan;
