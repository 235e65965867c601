// `ultramem generate`: continue a prompt, streamed.

import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { optionNeeded } from '../support/errors/cli.ts';
import { memoryOption, memoryTable } from './memory.ts';
import { openSession, readModel, type SessionFlags } from './open-session.ts';
import {
  configOption,
  examples,
  jsonOption,
  marchOption,
  numberBetween,
  precisionOption,
  tablesOption,
  targetOption,
  threadsOption,
  wholeNumber,
} from './options.ts';
import type { Terminal } from './terminal.ts';

interface GenerateFlags extends SessionFlags {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly greedy?: boolean;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly echo?: boolean;
  readonly memory?: boolean;
  readonly json?: boolean;
}

export function generateVerb(terminal: Terminal): Command {
  return new Command('generate')
    .description('continue a prompt with a language model')
    .argument('<model>', 'TypeScript file of the model')
    .requiredOption('--weights <path>', 'safetensors file, index of shards, or folder')
    .requiredOption('--prompt <text>', 'text to continue; - reads it from stdin')
    .addOption(configOption())
    .addOption(new Option('--max-tokens <n>', 'most tokens to generate').argParser(wholeNumber(1)).default(64))
    .addOption(
      new Option('--greedy', 'always the most probable token (the default)').conflicts([
        'temperature',
        'topK',
        'topP',
        'seed',
      ]),
    )
    .addOption(new Option('--temperature <t>', 'draw tokens, logits divided by t').argParser(numberBetween(0, 100)))
    .addOption(new Option('--top-k <k>', 'draw from the k most probable tokens').argParser(wholeNumber(1)))
    .addOption(
      new Option('--top-p <p>', 'draw from the fewest tokens that reach this probability').argParser(
        numberBetween(0, 1),
      ),
    )
    .addOption(new Option('--seed <n>', 'same seed, same text').argParser(wholeNumber(0)))
    .option('--stop <text...>', 'end before this text')
    .option('--echo', 'print the prompt first')
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
        'ultramem generate examples/bytes-lm/model.ts --weights w.safetensors --prompt "In the beginning" --max-tokens 64 --greedy',
        'echo "And he said" | ultramem generate model.ts --weights w.safetensors --prompt - --temperature 0.8 --seed 7',
      ),
    )
    .action(async (file: string, flags: GenerateFlags) => {
      const sampled = flags.topK !== undefined || flags.topP !== undefined || flags.seed !== undefined;
      if (sampled && flags.temperature === undefined) {
        throw optionNeeded(
          '--temperature',
          'without it the most probable token is always taken',
          'Try --temperature 0.8.',
        );
      }
      const prompt = flags.prompt === '-' ? readFileSync(0, 'utf8') : flags.prompt;
      await generate(terminal, file, prompt, flags);
    });
}

async function generate(terminal: Terminal, file: string, prompt: string, flags: GenerateFlags): Promise<void> {
  const started = performance.now();
  const model = await readModel(terminal, file, flags);
  await using session = await openSession(terminal, model, flags, 1);
  const ready = performance.now();
  const { maxTokens, temperature, topK, topP, seed, stop } = flags;
  const tokens = session.generate(prompt, {
    maxTokens,
    signal: terminal.signal,
    ...(temperature !== undefined && { temperature }),
    ...(topK !== undefined && { topK }),
    ...(topP !== undefined && { topP }),
    ...(seed !== undefined && { seed }),
    ...(stop !== undefined && { stop }),
  });
  terminal.endProgress();
  if (flags.echo && !flags.json) terminal.write(prompt);
  let first = 0;
  for (;;) {
    const next = await tokens.next();
    if (first === 0) first = performance.now();
    if (!next.done) {
      if (!flags.json) terminal.write(next.value.text);
      continue;
    }
    const generation = next.value;
    const ended = performance.now();
    // The first token comes with the prompt; the rate is that of the tokens after it.
    const rate = generation.tokens.length > 1 ? (generation.tokens.length - 1) / ((ended - first) / 1000) : undefined;
    const seconds = {
      load: (ready - started) / 1000,
      prompt: (first - ready) / 1000,
      generate: (ended - first) / 1000,
    };
    const memory = flags.memory ? session.memory() : undefined;
    if (flags.json) {
      return terminal.printJson({
        prompt,
        ...generation,
        seconds,
        tokensPerSecond: rate,
        ...(memory !== undefined && { memory }),
      });
    }
    if (!generation.text.endsWith('\n')) terminal.write('\n');
    const speed = rate === undefined ? '' : `, ${rate.toFixed(0)} tokens per second`;
    terminal.note(
      `${generation.tokens.length} tokens (${generation.finishReason}), prompt in ${(seconds.prompt * 1000).toFixed(1)} ms${speed}`,
    );
    if (memory !== undefined) terminal.note(memoryTable(memory));
    return;
  }
}
