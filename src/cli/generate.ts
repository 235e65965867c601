// `ultramem generate`: continue a prompt, streamed; on a terminal, line after line.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import type { Session, Tokenizer } from '../runtime/index.ts';
import { optionNeeded } from '../support/errors/cli.ts';
import { converse } from './converse.ts';
import { type GenerationSettings, generationOptions, settingsOf, waitsForTemperature } from './generation-options.ts';
import { memoryOption, memoryTable } from './memory.ts';
import { openSession, readModel, type SessionFlags } from './open-session.ts';
import {
  configOption,
  examples,
  jsonOption,
  marchOption,
  precisionOption,
  type Target,
  tablesOption,
  targetOption,
  tellTarget,
  threadsOption,
} from './options.ts';
import type { Terminal } from './terminal.ts';
import { findTokenizer, tokenizerOption } from './tokenizer.ts';

interface GenerateFlags extends SessionFlags, GenerationSettings {
  readonly prompt?: string;
  readonly tokenizer?: string;
  readonly greedy?: boolean;
  readonly echo?: boolean;
  readonly memory?: boolean;
  readonly json?: boolean;
}

export function generateVerb(terminal: Terminal): Command {
  const verb = new Command('generate')
    .description('continue a prompt with a language model')
    .argument('<model>', 'TypeScript file of the model')
    .requiredOption('--weights <path>', 'safetensors file, index of shards, or folder')
    .option(
      '--prompt <text>',
      'text to continue; - reads it from stdin (default: lines typed on a terminal, else stdin)',
    )
    .addOption(tokenizerOption())
    .addOption(configOption())
    .addOption(
      new Option('--greedy', 'always the most probable token (the default)').conflicts([
        'temperature',
        'topK',
        'topP',
        'seed',
      ]),
    );
  for (const option of generationOptions()) verb.addOption(option);
  return verb
    .option('--echo', 'print the prompt first')
    .addOption(targetOption())
    .addOption(precisionOption())
    .addOption(tablesOption())
    .addOption(marchOption())
    .addOption(threadsOption())
    .addOption(memoryOption())
    .addOption(jsonOption())
    .addHelpText('after', interactive)
    .addHelpText(
      'after',
      examples(
        'ultramem generate examples/bytes-lm/model.ts --weights w.safetensors --prompt "In the beginning" --max-tokens 64 --greedy',
        'echo "And he said" | ultramem generate model.ts --weights w.safetensors --temperature 0.8 --seed 7',
        'ultramem generate model.ts --weights folder --tokenizer folder/tokenizer.json',
      ),
    )
    .action(async (file: string, flags: GenerateFlags) => {
      if (waitsForTemperature(flags)) {
        throw optionNeeded(
          '--temperature',
          'without it the most probable token is always taken',
          'Try --temperature 0.8.',
        );
      }
      const typed = flags.prompt === undefined && terminal.interactive;
      if (typed && flags.json) {
        throw optionNeeded(
          '--prompt',
          '--json gives one value for one prompt, and there is none on stdin',
          'Give --prompt "text", pipe the text in, or leave --json out to type lines.',
        );
      }
      const prompt = typed ? undefined : readPrompt(flags.prompt);
      const started = performance.now();
      const model = await readModel(terminal, file, flags);
      const tokenizer = await findTokenizer(model, flags.weights, flags.tokenizer);
      let { target } = flags;
      await using session = await openSession(terminal, model, flags, 1, {
        onTarget(to, why) {
          target = to;
          tellTarget(terminal)(to, why);
        },
      });
      terminal.endProgress();
      if (prompt !== undefined) return await generate(terminal, session, prompt, flags, tokenizer, started);
      if (flags.memory) terminal.note(memoryTable(session.memory()));
      const { chooseTokenizer } = await import('../runtime/index.ts');
      await converse({
        session,
        tokenizer: chooseTokenizer(session.model, tokenizer)!,
        heading: `${model.name} on ${target}${threadsOf(target, flags.threads)}`,
        settings: settingsOf(flags),
        input: process.stdin,
        output: process.stdout,
        keys: true,
        signal: terminal.signal,
      });
    });
}

const interactive = `
Without --prompt on a terminal, lines that you type are added to one growing text and the model goes on from each; /help there lists what
else can be typed (/again, /reset, /set temperature 0.8, /quit …). Ctrl-C stops a continuation and keeps what was written.`;

/** Of the targets that run on threads of this process. */
function threadsOf(target: Target, threads = availableParallelism()): string {
  return target === 'cpu' || target === 'simt' ? `, ${threads} thread${threads === 1 ? '' : 's'}` : '';
}

const readPrompt = (prompt: string | undefined): string =>
  prompt === undefined || prompt === '-' ? readFileSync(0, 'utf8') : prompt;

async function generate(
  terminal: Terminal,
  session: Session,
  prompt: string,
  flags: GenerateFlags,
  tokenizer: Tokenizer | undefined,
  started: number,
): Promise<void> {
  const ready = performance.now();
  const tokens = session.generate(prompt, {
    ...settingsOf(flags),
    signal: terminal.signal,
    ...(tokenizer !== undefined && { tokenizer }),
  });
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
