// What `ptxas -v` says about each kernel: registers, shared memory, and whether values spill to memory.

/** Needs of one kernel on one architecture. Bytes are per thread but for `shared`, which is per block. */
export interface KernelResources {
  readonly kernel: string;
  /** `sm_80` */
  readonly arch: string;
  readonly registers: number;
  /** Static shared memory. */
  readonly shared: number;
  /** Stack frame: arrays that do not fit into registers, with the spills. */
  readonly stack: number;
  readonly spillStores: number;
  readonly spillLoads: number;
}

/** Reads the lines of `-Xptxas -v`, with whatever else the compiler says between them. In order of kernel and architecture. */
export function parsePtxas(output: string): KernelResources[] {
  const found: { -readonly [K in keyof KernelResources]: KernelResources[K] }[] = [];
  for (const line of output.split('\n')) {
    const entry = line.match(/Compiling entry function '([^']+)' for '(sm_\w+)'/);
    if (entry) {
      const [, kernel = '', arch = ''] = entry;
      found.push({ kernel, arch, registers: 0, shared: 0, stack: 0, spillStores: 0, spillLoads: 0 });
    }
    const kernel = found.at(-1);
    if (kernel === undefined) continue;
    const frame = line.match(/(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/);
    if (frame) {
      // A function that is not inlined has a line of its own; what it spills counts for the kernel that calls it.
      const [stack = 0, stores = 0, loads = 0] = frame.slice(1).map(Number);
      kernel.stack += stack;
      kernel.spillStores += stores;
      kernel.spillLoads += loads;
    }
    const used = line.match(/Used (\d+) registers(.*)$/);
    if (used) {
      kernel.registers = Number(used[1]);
      kernel.shared = Number(used[2]?.match(/(\d+)(?:\+\d+)? bytes smem/)?.[1] ?? 0);
    }
  }
  const number = (arch: string) => Number(arch.replace(/\D/g, ''));
  return found.sort((a, b) => a.kernel.localeCompare(b.kernel) || number(a.arch) - number(b.arch));
}

/** Whether parsed JSON is such a report. */
export const isResources = (value: unknown): value is KernelResources[] =>
  Array.isArray(value) &&
  value.every(
    (one: Partial<KernelResources> | null) =>
      typeof one?.kernel === 'string' &&
      typeof one.arch === 'string' &&
      [one.registers, one.shared, one.stack, one.spillStores, one.spillLoads].every(Number.isInteger),
  );
