// Machines as rooflines: bytes per second of memory, and operations per second by what products run on. For least times, no measurement.

import { projectedDevices } from './devices.ts';

export interface Roofline {
  readonly name: string;
  readonly kind: 'cpu' | 'device';
  /** Where the figures come from. */
  readonly source: string;
  /** Bytes per second. */
  readonly bandwidth: number;
  /** Operations per second: on f32, on bf16 with f32 sums (pairs of a processor, tensor cores of a device), on bytes. */
  readonly rates: { readonly f32: number; readonly bf16: number; readonly i8: number };
}

/** Operations of a core of the Zen 4 class in a clock: two 256-bit multiply-adds of f32; twice that of bf16, four times of bytes. */
const zen4 = (cores: number, clock: number) => {
  const f32 = 32 * cores * clock;
  return { f32, bf16: 2 * f32, i8: 4 * f32 };
};

/** Dense rates of bytes, which devices.ts has no use for; the same data sheets. */
const byteRates: Readonly<Record<string, number>> = { A100: 624e12, H100: 1979e12, 'RTX 4090': 660.6e12 };
/** Names that say which of several it is, in the order of the list. */
const names: Readonly<Record<string, string>> = {
  H100: 'H100 SXM',
  A100: 'A100 SXM 80 GB',
  'RTX 4090': 'RTX 4090',
};

/** Processors, then devices; the first of each is the one to begin with. */
export const rooflines: readonly Roofline[] = [
  {
    name: 'EPYC, two cores',
    kind: 'cpu',
    source: 'measured: bench/RESULTS.md, most of two threads',
    bandwidth: 37e9,
    rates: { f32: 236e9, bf16: 472e9, i8: 944e9 },
  },
  {
    name: 'EPYC, one core of two',
    kind: 'cpu',
    source: 'measured: bench/RESULTS.md, most of one thread',
    bandwidth: 31.7e9,
    rates: { f32: 118e9, bf16: 236e9, i8: 473e9 },
  },
  {
    name: 'EPYC 9654, 96 cores',
    kind: 'cpu',
    source: 'data sheet: 2.4 GHz base clock, 12 channels of DDR5-4800',
    bandwidth: 460.8e9,
    rates: zen4(96, 2.4e9),
  },
  {
    name: 'Ryzen 9 7950X, 16 cores',
    kind: 'cpu',
    source: 'data sheet: 4.5 GHz base clock, 2 channels of DDR5-5200',
    bandwidth: 83.2e9,
    rates: zen4(16, 4.5e9),
  },
  ...Object.entries(names).flatMap(([name, shown]) =>
    projectedDevices
      .filter((device) => device.name === name)
      .map(
        ({ bandwidth, f32, tensor }): Roofline => ({
          name: shown,
          kind: 'device',
          source: 'data sheet, without sparsity',
          bandwidth,
          rates: { f32, bf16: tensor, i8: byteRates[name] ?? tensor },
        }),
      ),
  ),
];
