// The loop of `ultramem generate` on a terminal: lines that are typed and what the model makes of them, in one growing text.

import { CommanderError } from 'commander';
import colors from 'picocolors';
import type { Session, Tokenizer } from '../runtime/index.ts';
import { UltramemError } from '../support/errors.ts';
import { didYouMean } from '../support/suggest.ts';
import { fitContext } from './fit-context.ts';
import { type GenerationSettings, settingsTable, waitsForTemperature, withSetting } from './generation-options.ts';
import { type Output, readLines } from './line-reader.ts';

export interface Conversation {
  readonly session: Pick<Session, 'model' | 'generate' | 'sequences'>;
  readonly tokenizer: Tokenizer;
  /** What runs, for the first line: the model, its target, its threads. */
  readonly heading: string;
  readonly settings: GenerationSettings;
  readonly input: NodeJS.ReadableStream;
  readonly output: Output;
  /** Whether input and output are a person's terminal. */
  readonly keys: boolean;
  /** Ends the loop. */
  readonly signal: AbortSignal;
}

interface Command {
  readonly does: string;
  run(rest: string): void | Promise<void>;
}

const rules = `
A line that you type begins a new line of the text, one with a space in
front goes on behind the last word; then the model goes on. An empty line
only lets it go on. // begins a line with a slash. Ctrl-C stops the model
and keeps what it wrote.`;

/** Resolves when the person has had enough. Faults of a generation are told and end nothing. */
export async function converse(conversation: Conversation): Promise<void> {
  const { session, tokenizer, input, output, keys, signal } = conversation;
  const { dim } = colors.createColors(keys && colors.isColorSupported);
  const context = session.model.inputs.find(({ name }) => name === 'positions')?.below as number;
  const left = (): string => `${Math.max(0, context - held)} of ${context} tokens left`;
  const say = (words: string): void => {
    for (const line of words.split('\n')) output.write(`${dim(line)}\n`);
  };
  const sequence = session.sequences!.allocate(); // holds the text so far: a turn runs what is new
  let { settings } = conversation;
  const begin = tokenizer.encode('').length;
  let [text, held] = ['', begin]; // the text so far, and its tokens
  let drawn: { from: string; times: number } | undefined; // the last continuation
  const total = { continuations: 0, tokens: 0, seconds: 0 };
  let running: AbortController | undefined;
  let ended = false;

  const reader = readLines(input, output, { prompt: '> ', keys, onInterrupt: () => running?.abort() });
  const end = (): void => {
    ended = true;
    running?.abort();
    reader.close();
  };

  /** Makes `from` and a continuation of it the text so far. `times`: how many were drawn before. */
  async function goOn(from: string, times: number): Promise<void> {
    const room = Math.min(settings.maxTokens, Math.ceil(context / 2));
    const { text: prompt, ids, dropped } = fitContext(from, context + 1 - room, tokenizer.encode);
    if (dropped !== '') {
      say(`The context of ${context} tokens is full: ${excerpt(dropped)} is forgotten. /reset forgets all.`);
    }
    const { seed } = settings;
    const began = performance.now();
    let [first, made, written, reason] = [began, 0, '', 'stopped'];
    running = new AbortController();
    try {
      for await (const token of session.generate(ids, {
        ...settings,
        ...(seed !== undefined && { seed: seed + times }),
        ...{ tokenizer, sequence },
        signal: running.signal,
      })) {
        if (made++ === 0) first = performance.now();
        written += token.text;
        output.write(token.text);
        reason = token.finishReason ?? reason;
      }
    } catch (error) {
      if (!running.signal.aborted) throw error;
    } finally {
      running = undefined;
      if (written !== '' && !written.endsWith('\n')) output.write('\n');
    }
    const now = performance.now();
    [text, held] = [prompt + written, ids.length + made];
    drawn = { from: prompt, times };
    total.continuations++;
    total.tokens += made;
    total.seconds += (now - began) / 1000;
    const rate = made > 1 ? `, ${(((made - 1) / (now - first)) * 1000).toFixed(0)} tokens per second` : '';
    say(`${made} tokens (${reason}), prompt of ${ids.length} in ${(first - began).toFixed(1)} ms${rate}, ${left()}`);
  }

  const commands: Readonly<Record<string, Command>> = {
    '/again': {
      does: 'draw another continuation in place of the last',
      async run() {
        if (drawn === undefined) return say('There is no continuation yet.');
        if (!settings.temperature) say('The most probable token is always taken: /set temperature 0.8 draws others.');
        await goOn(drawn.from, drawn.times + 1);
      },
    },
    '/reset': {
      does: 'forget the text',
      run() {
        [text, held] = ['', begin];
        drawn = undefined;
        say(`Forgotten, ${left()}.`);
      },
    },
    '/set': {
      does: 'show the options; `/set temperature 0.8` changes one, `/set temperature` puts it back',
      run(rest) {
        if (rest !== '') settings = withSetting(settings, rest);
        say(settingsTable(settings, /^(?:--)?(\S*)/.exec(rest)?.[1]));
        if (waitsForTemperature(settings)) say('Tokens are drawn only once there is a temperature.');
      },
    },
    '/stats': {
      does: 'say how much was generated, and how fast',
      run() {
        const rate = total.tokens > 0 ? `, ${(total.tokens / total.seconds).toFixed(0)} per second with prompts` : '';
        say(`${total.tokens} tokens in ${total.continuations} continuations${rate}; ${left()}`);
      },
    },
    '/text': { does: 'show the text so far', run: () => void output.write(text === '' ? '' : `${text}\n`) },
    '/help': { does: 'show this', run: () => say(help(commands)) },
    '/quit': { does: 'end, as Ctrl-D does', run: end },
  };

  async function act(line: string): Promise<void> {
    if (!line.startsWith('/') || line.startsWith('//')) return goOn(appended(text, line.replace(/^\/\//, '/')), 0);
    const [, name = '', rest = ''] = /^(\S+)\s*(.*?)\s*$/.exec(line) ?? [];
    const command = commands[name];
    if (command !== undefined) return command.run(rest);
    say(`There is no ${name}.${didYouMean(name, Object.keys(commands))} /help says what there is.`);
  }

  signal.addEventListener('abort', end);
  say(`${conversation.heading}, ${left()}. Type how a text begins; /help says what else there is.`);
  try {
    for (let line: string | undefined; !ended && (line = await reader.next()) !== undefined && !ended; ) {
      await act(line).catch((error) => {
        if (!(error instanceof UltramemError || error instanceof CommanderError)) throw error;
        say([error.message, error instanceof UltramemError ? error.hint : ''].join(' ').trim());
      });
    }
  } finally {
    signal.removeEventListener('abort', end);
    reader.close();
    session.sequences!.free(sequence);
  }
}

function help(commands: Readonly<Record<string, Command>>): string {
  const rows = Object.entries(commands).map(([name, { does }]) => `${name.padEnd(7)} ${does}`);
  return rows.join('\n') + rules;
}

/** A line in the text: on a line of its own, but for one that begins with a space; an empty one adds nothing. */
function appended(text: string, line: string): string {
  const joins = line === '' || line.startsWith(' ') || text === '' || text.endsWith('\n');
  return joins ? text + line : `${text}\n${line}`;
}

/** Both ends of a text that is too long to show. */
function excerpt(text: string): string {
  const words = text.trim();
  return JSON.stringify(words.length > 60 ? `${words.slice(0, 28)} … ${words.slice(-28)}` : words);
}
