// `ultramem compile`: a model file → a folder with its source, its addon and its typed runtime.

import { relative } from 'node:path';
import Table from 'cli-table3';
import { Command, Option } from 'commander';
import type { KernelResources, Precision, TableType } from '../compile.ts';
import { debugLevel } from '../support/env.ts';
import { optionNeeded } from '../support/errors/cli.ts';
import { readModel } from './open-session.ts';
import { configOption, examples, jsonOption, marchOption, precisionOption, tablesOption } from './options.ts';
import { plainTable } from './table.ts';
import type { Terminal } from './terminal.ts';

interface CompileOptions {
  readonly config?: string;
  readonly out?: string;
  readonly target: 'cpu' | 'cuda' | 'simt';
  readonly arch?: string;
  readonly keep?: boolean;
  readonly allowSpill?: string;
  readonly march: string;
  readonly precision: Precision;
  readonly tables?: TableType;
  readonly json?: boolean;
}

export function compileVerb(terminal: Terminal): Command {
  return new Command('compile')
    .description('compile a model to a native addon with a typed runtime')
    .argument('<model>', 'TypeScript file whose default export is a model, or a function from a config to one')
    .addOption(configOption())
    .option('--out <folder>', 'where to put the result (default: generated/<name>)')
    .addOption(new Option('--target <target>', 'what to compile for').choices(['cpu', 'cuda', 'simt']).default('cpu'))
    .addOption(precisionOption())
    .addOption(tablesOption())
    .addOption(marchOption())
    .option(
      '--arch <list>',
      "cuda: devices to build for, as 80,sm_90,compute_90 (default: this machine's, else 80, 90 and PTX)",
    )
    .option('--keep', 'cuda, simt: leave kernels.json, sources and headers in <out>/kernels; cuda: PTX, resources.json')
    .option('--allow-spill <kernels>', 'cuda: kernels that may spill registers to memory, with commas between')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'ultramem compile examples/bytes-lm/model.ts',
        'ultramem compile model.ts --config sizes.json --out build/model --march x86-64-v3',
        'ultramem compile model.ts --target cuda --arch 80,90 --precision bf16',
        'ultramem compile model.ts --target cuda --keep     # PTX, and what kernels take',
        'DEBUG=2 ultramem compile model.ts     # the plan, each choice with its reason',
      ),
    )
    .action(async (file: string, options: CompileOptions) => {
      if (options.keep && options.target === 'cpu') {
        throw optionNeeded(
          '--target cuda',
          'the cpu target has no kernels to keep',
          'Or --target simt; or leave --keep out.',
        );
      }
      const { compile } = await import('../compile.ts');
      const model = await readModel(terminal, file, options);
      const started = performance.now();
      const built = await compile(model, {
        target: options.target,
        precision: options.precision,
        tables: options.tables,
        march: options.march,
        arch: options.arch?.split(','),
        allowSpills: options.allowSpill?.split(',').map((kernel) => kernel.trim()),
        keep: options.keep ?? false,
        signal: terminal.signal,
        onProgress: terminal.progress,
        ...(options.out === undefined ? {} : { outDir: options.out }),
      });
      const seconds = (performance.now() - started) / 1000;
      if (options.json) return terminal.printJson({ name: model.name, ...built, seconds });
      if (built.resources !== undefined && (options.keep || debugLevel() >= 6)) {
        terminal.print(resourceTable(built.resources));
      }
      const how = built.cached ? 'from the build cache' : 'built';
      terminal.print(`${model.name} → ${relative('', built.dir) || '.'} (${how}, ${seconds.toFixed(1)} s)`);
    });
}

/** One line per kernel: the most that it takes on any of the architectures. */
function resourceTable(resources: readonly KernelResources[]): string {
  const table = new Table(plainTable(['kernel', 'registers', 'shared', 'spills'], [1, 2, 3]));
  for (const kernel of new Set(resources.map((one) => one.kernel))) {
    const each = resources.filter((one) => one.kernel === kernel);
    const most = (of: (one: KernelResources) => number): number => Math.max(...each.map(of));
    const spills = most(({ spillStores, spillLoads }) => spillStores + spillLoads);
    table.push([kernel, most((one) => one.registers), most((one) => one.shared), spills]);
  }
  return table.toString();
}
