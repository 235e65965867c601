// `ultramem replay`: the launches of a trace again, on the CPU with all checks on.

import { Command } from 'commander';
import type { ReplayedLaunch } from '../replay.ts';
import { examples, jsonOption } from './options.ts';
import type { Terminal } from './terminal.ts';

export function replayVerb(terminal: Terminal): Command {
  return new Command('replay')
    .description('run the launches of a trace again and compare what they leave in memory, byte for byte')
    .argument('<folder>', 'what `ultramem run … --target simt --trace <folder>` wrote')
    .addOption(jsonOption())
    .addHelpText('after', elsewhere)
    .addHelpText('after', examples('ultramem replay trace', 'ultramem replay trace --json'))
    .action(async (folder: string, { json }: { json?: boolean }) => {
      const { replay } = await import('../replay.ts');
      const { signal, progress: onProgress } = terminal;
      const { launches, ...replayed } = await replay(folder, { signal, onProgress });
      const ok = launches.filter(({ state }) => state === 'ok').length;
      terminal.exitCode = ok === launches.length ? 0 : 1;
      if (json) return terminal.printJson({ ...replayed, ok, launches });
      for (const [i, launch] of launches.entries()) terminal.print(shown(launch, i));
      terminal.print(`${replayed.model}: ${ok} of ${launches.length} launches leave the same bytes`);
    });
}

const elsewhere = `
The kernels are compiled and run as native code: replay only what you trust. Bytes are equal where compiler and processor
are those that the trace was written with.

The folder needs nothing else. kernels.json lists the launches in order; every one has a kernel (an extern "C" function of its
step's source), grid, block, shared (bytes of dynamic shared memory), memory and arguments. To run them on a GPU:
  1. nvcc -std=c++20 -arch=sm_90 -I<folder> -cubin <folder>/step_one.cu -o step_one.cubin; cuModuleLoad, cuModuleGetFunction.
  2. Per launch, for each of its memory: cuMemAlloc of bytes, filled from the file before.
  3. cuLaunchKernel with grid, block, shared, and for each argument a pointer: its buffer's address plus its offset (bytes).
     Above 48 KiB of shared, first cuFuncSetAttribute CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES.
  4. Compare with the file after. A GPU rounds exp, sin and the like in its own way: integers are equal unless scores tie,
     floats within about 1e-5 of their size. What unwritten names was not set when the launch began.`;

function shown({ kernel, place, state, differences, findings }: ReplayedLaunch, i: number): string {
  const head = `${state.padEnd(8)} ${String(i).padStart(3, '0')} ${kernel}${place === '' ? '' : ` (${place})`}`;
  const details = [
    ...differences.map((d) => `${d.arguments.join(', ')}: ${d.bytes} bytes differ, the first at byte ${d.first}`),
    ...findings,
  ];
  return [head, ...details.map((detail) => `         ${detail}`)].join('\n');
}
