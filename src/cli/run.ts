// `ultramem run`: one step, tensors in and tensors out.

import { Command } from 'commander';
import type { Tensor } from '../runtime/index.ts';
import { optionNeeded } from '../support/errors/cli.ts';
import { memoryOption, memoryTable } from './memory.ts';
import { openSession, readModel, type SessionFlags } from './open-session.ts';
import {
  configOption,
  examples,
  jsonOption,
  marchOption,
  precisionOption,
  tablesOption,
  targetOption,
  threadsOption,
} from './options.ts';
import type { Terminal } from './terminal.ts';

interface RunFlags extends SessionFlags {
  readonly inputs: string;
  readonly outputs?: string;
  readonly trace?: string;
  readonly memory?: boolean;
  readonly json?: boolean;
}

export function runVerb(terminal: Terminal): Command {
  return new Command('run')
    .description('run one step on tensors from a safetensors file')
    .argument('<model>', 'TypeScript file of the model')
    .requiredOption('--weights <path>', 'safetensors file, index of shards, or folder; the prefix "w." is accepted')
    .requiredOption('--inputs <file>', 'safetensors file with the inputs; the prefix "in." is accepted')
    .option('--outputs <file>', 'safetensors file to write the outputs to')
    .option('--trace <folder>', 'simt: write every launch there, with its buffers before and after (see replay)')
    .addOption(configOption())
    .addOption(targetOption())
    .addOption(precisionOption())
    .addOption(tablesOption())
    .addOption(marchOption())
    .addOption(threadsOption())
    .addOption(memoryOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'ultramem run model.ts --config c.json --weights w.safetensors --inputs in.safetensors --outputs out.safetensors',
        'ultramem run examples/layer.ts --config case.json --weights case.safetensors --inputs case.safetensors --target interpreter',
        'ultramem run model.ts --weights w.safetensors --inputs in.safetensors --target auto',
        'ultramem run model.ts --weights w.safetensors --inputs in.safetensors --target simt --trace trace',
      ),
    )
    .action(async (file: string, flags: RunFlags) => {
      const { openSafetensors, writeSafetensors } = await import('../runtime/index.ts');
      const { traceTo } = await import('../trace-run.ts');
      const { describeModel } = await import('../open-model.ts');
      const { readStepInputs } = await import('../verify/step-inputs.ts');
      if (flags.trace !== undefined && flags.target !== 'simt') {
        throw optionNeeded('--target simt', 'launches are traced there alone', 'Add it, or leave --trace out.');
      }
      const files = await openSafetensors(flags.inputs);
      const started = performance.now();
      const model = await readModel(terminal, file, flags);
      const step = await readStepInputs(files, describeModel(model).inputs);
      const tracing = flags.trace === undefined ? undefined : await traceTo(flags.trace, model, flags);
      await using session = await openSession(terminal, model, flags, step.sequences, {
        observe: tracing?.observe,
      });
      const ready = performance.now();
      // A step that fails leaves the launches until then, with what the one at fault found in memory.
      let ended = ready;
      let launches: number | undefined;
      const outputs = await session.forward(step.inputs, { signal: terminal.signal }).finally(async () => {
        ended = performance.now();
        launches = await tracing?.end();
      });
      const memory = flags.memory ? session.memory() : undefined;
      const seconds = { load: (ready - started) / 1000, step: (ended - ready) / 1000 };
      if (flags.outputs !== undefined) {
        const prefix = step.prefixed ? 'out.' : '';
        await writeSafetensors(
          flags.outputs,
          Object.fromEntries(Object.entries(outputs).map(([n, t]) => [prefix + n, t])),
        );
      }
      if (flags.json) {
        const described = Object.entries(outputs).map(([name, t]) => [
          name,
          { ...summary(t), shape: t.shape, dtype: t.dtype },
        ]);
        const trace = launches === undefined ? {} : { trace: { folder: flags.trace, launches } };
        return terminal.printJson({
          model: session.model.name,
          outputs: Object.fromEntries(described),
          seconds,
          ...trace,
          ...(memory !== undefined && { memory }),
        });
      }
      for (const [name, value] of Object.entries(outputs)) {
        const { min, max, mean, rms } = summary(value);
        const facts = `min ${shown(min)}, max ${shown(max)}, mean ${shown(mean)}, rms ${shown(rms)}`;
        terminal.print(`${name}: ${value.dtype}[${value.shape.join(',')}]  ${facts}`);
      }
      const where = flags.outputs === undefined ? '' : `, written to ${flags.outputs}`;
      if (launches !== undefined) terminal.note(`${launches} launches, written to ${flags.trace}`);
      terminal.note(`one step in ${(seconds.step * 1000).toFixed(2)} ms${where}`);
      if (memory !== undefined) terminal.note(memoryTable(memory));
    });
}

/** What one sees of a tensor at a glance. */
function summary({ data }: Tensor): { min: number; max: number; mean: number; rms: number } {
  let [min, max, sum, squares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (const element of data) {
    const value = Number(element);
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    squares += value * value;
  }
  const count = Math.max(1, data.length);
  return { min, max, mean: sum / count, rms: Math.sqrt(squares / count) };
}

const shown = (value: number): string => value.toPrecision(4);
