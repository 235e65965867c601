// The machine that figures belong to, in a line.

import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

export function machine(): string {
  const all = cpus();
  const processor = `${all[0]?.model.trim() ?? 'unknown processor'}${vectors()}`;
  return `${processor}, ${all.length} cores, Node ${process.versions.node}, ${process.platform} ${process.arch}`;
}

/** The widest vectors that kernels are built for: machines of one name differ by it most. */
function vectors(): string {
  try {
    const cpuinfo = readFileSync('/proc/cpuinfo', 'utf8');
    const widest = ['avx512_bf16', 'avx512f', 'avx2'].find((feature) => cpuinfo.includes(` ${feature} `));
    return widest === undefined ? '' : ` (${widest})`;
  } catch {
    return '';
  }
}
