// Devices that times are projected for, and how: a roofline, no measurement.

/** What a projection knows of a device. */
export interface ProjectedDevice {
  readonly name: string;
  /** Bytes per second of its memory. */
  readonly bandwidth: number;
  /** Floating point operations per second: f32 without tensor cores, and bf16 on tensor cores, dense, f32 sums. */
  readonly f32: number;
  readonly tensor: number;
  /** Seconds from kernel to kernel of a captured graph, besides what they do. */
  readonly launch: number;
}

/**
 * NVIDIA, "Getting Started with CUDA Graphs" (developer.nvidia.com/blog/cuda-graphs), measured on a V100: kernels of 2.9 µs in
 * a graph of 20 take 3.4 µs each. Taken for all devices.
 */
const LAUNCH = 0.5e-6;

export const projectedDevices: readonly ProjectedDevice[] = [
  // NVIDIA A100 Tensor Core GPU data sheet: 80 GB SXM.
  { name: 'A100', bandwidth: 2039e9, f32: 19.5e12, tensor: 312e12, launch: LAUNCH },
  // NVIDIA H100 Tensor Core GPU data sheet: SXM; its tensor figure there is with sparsity, twice this.
  { name: 'H100', bandwidth: 3350e9, f32: 67e12, tensor: 989e12, launch: LAUNCH },
  // NVIDIA Ada GPU architecture white paper, appendix A: GeForce RTX 4090.
  { name: 'RTX 4090', bandwidth: 1008e9, f32: 82.6e12, tensor: 165.2e12, launch: LAUNCH },
];

export const projectionNote =
  'Times are projections, not measurements: per launch the longer of the bytes it touches at the full bandwidth of device ' +
  'memory (a cache serves repeats) and its operations at peak, plus 0.5 µs.';

/** What of a kernel decides its projected time. */
export interface Projected {
  readonly bytes: number;
  readonly flops: number;
  /** Whether its products run on tensor cores. */
  readonly tensor: boolean;
}

/** Seconds that a launch would take if memory and arithmetic both ran at their peak, side by side. */
export const projectedSeconds = (device: ProjectedDevice, { bytes, flops, tensor }: Projected): number =>
  device.launch + Math.max(bytes / device.bandwidth, flops / (tensor ? device.tensor : device.f32));
