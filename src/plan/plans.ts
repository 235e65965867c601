// Plans by what runs their steps.

import type { DeviceLaunch } from './device/launch.ts';
import type { AnyLaunch, PlanFor } from './types.ts';

/** Everything runs on the CPU. */
export type CpuPlan = PlanFor<'cpu', AnyLaunch>;

/** Prepare runs on the CPU, steps run on a device: with the driver of a GPU (cuda), or thread by thread on the CPU (simt). */
export type DevicePlan = PlanFor<'cuda', DeviceLaunch>;

export type Plan = CpuPlan | DevicePlan;
