// The command line: a list of verbs, one way to fail, one way to be interrupted. Each verb is a file of its own.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { benchVerb } from './bench.ts';
import { compileVerb } from './compile.ts';
import { doctorVerb } from './doctor.ts';
import { exitCodes } from './exit-codes.ts';
import { describeFailure } from './failure.ts';
import { generateVerb } from './generate.ts';
import { inspectVerb } from './inspect.ts';
import { profileVerb } from './profile.ts';
import { quantizeVerb } from './quantize.ts';
import { replayVerb } from './replay.ts';
import { runVerb } from './run.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { verifyVerb } from './verify.ts';

/** Verbs in the order of --help. */
export const verbs = [
  compileVerb,
  generateVerb,
  runVerb,
  replayVerb,
  verifyVerb,
  inspectVerb,
  profileVerb,
  benchVerb,
  quantizeVerb,
  doctorVerb,
] as const;

/** Runs one command line (without node and script) and resolves to the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const interrupt = new AbortController();
  const terminal = processTerminal(interrupt.signal);
  const onSignal = (): void => {
    if (interrupt.signal.aborted) process.exit(130); // the second time, or a verb that does not come to an end
    interrupt.abort();
    setTimeout(() => process.exit(130), 3000).unref();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    await program(terminal).parseAsync(argv.length === 0 ? ['--help'] : argv, { from: 'user' });
    return interrupt.signal.aborted ? 130 : terminal.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // --help, --version
    if (error instanceof CommanderError && error.code === 'commander.help') return 2; // `help` of an unknown verb
    const failure = describeFailure(error, interrupt.signal.aborted);
    if (wantsJson(argv)) terminal.printJson({ error: failure.json });
    else terminal.note(failure.text);
    return failure.exitCode;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

/** The command tree. Built apart from `main`, so that a test can compare the README with it. */
export function program(terminal: Terminal): Command {
  const root = new Command('ultramem')
    .description('Compiles ultra-sparse memory networks written in TypeScript to native code, and runs them.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', () => exitCodeHelp());
  root.helpCommand('help [verb]', 'print the help of a verb');
  for (const verb of verbs) root.addCommand(verb(terminal));
  for (const command of [root, ...root.commands]) {
    // Usage errors are thrown and printed like all others, in `main`.
    command.exitOverride().configureOutput({ outputError: () => {} });
    command.helpOption('-h, --help', 'print this help');
  }
  return root;
}

const wantsJson = (argv: readonly string[]): boolean => {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? undefined : end).includes('--json');
};

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function exitCodeHelp(): string {
  const rows = Object.entries(exitCodes).map(([code, meaning]) => `  ${code.padEnd(4)} ${meaning}`);
  return `\nExit codes:\n${rows.join('\n')}\n\nDEBUG=1 … 6 tells more on stderr; the README lists all environment switches.`;
}
