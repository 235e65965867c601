// `ultramem compile`: a model file → a folder with its source, its addon and its typed runtime.

import { relative } from 'node:path';
import { Command, Option } from 'commander';
import { readModel } from './open-session.ts';
import { configOption, examples, jsonOption, marchOption, precisionOption } from './options.ts';
import type { Terminal } from './terminal.ts';

interface CompileOptions {
  readonly config?: string;
  readonly out?: string;
  readonly target: 'cpu' | 'cuda' | 'simt';
  readonly arch?: string;
  readonly march: string;
  readonly precision: 'f32' | 'bf16';
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
    .addOption(marchOption())
    .option(
      '--arch <list>',
      "cuda: devices to build for, as 80,sm_90,compute_90 (default: this machine's, else 80, 90 and PTX)",
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'ultramem compile examples/bytes-lm/model.ts',
        'ultramem compile model.ts --config sizes.json --out build/model --march x86-64-v3',
        'ultramem compile model.ts --target cuda --arch 80,90 --precision bf16',
        'DEBUG=2 ultramem compile model.ts     # the plan, each choice with its reason',
      ),
    )
    .action(async (file: string, options: CompileOptions) => {
      const { compile } = await import('../compile.ts');
      const model = await readModel(terminal, file, options);
      const started = performance.now();
      const built = await compile(model, {
        target: options.target,
        precision: options.precision,
        march: options.march,
        arch: options.arch?.split(','),
        signal: terminal.signal,
        onProgress: (stage) => terminal.progress(stage),
        ...(options.out === undefined ? {} : { outDir: options.out }),
      });
      const seconds = (performance.now() - started) / 1000;
      if (options.json) return terminal.printJson({ name: model.name, ...built, seconds });
      const how = built.cached ? 'from the build cache' : 'built';
      terminal.print(`${model.name} → ${relative('', built.dir) || '.'} (${how}, ${seconds.toFixed(1)} s)`);
    });
}
