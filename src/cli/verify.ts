// `ultramem verify`: hold a model to what a reference implementation computed.

import Table from 'cli-table3';
import { Command } from 'commander';
import type { Precision, TableType } from '../compile.ts';
import { nothingToVerify } from '../support/errors/cli.ts';
import type { Progress } from '../support/progress.ts';
import type { CaseReport } from '../verify/verify-case.ts';
import {
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
import { plainTable } from './table.ts';
import type { Terminal } from './terminal.ts';

interface VerifyFlags {
  readonly target: Target;
  readonly march: string;
  readonly precision: Precision;
  readonly tables?: TableType;
  readonly threads?: number;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function verifyVerb(terminal: Terminal): Command {
  return new Command('verify')
    .description('compare a model with the tensors a reference implementation computed')
    .argument('<case>', 'name.safetensors with name.json beside it, or a folder of such cases')
    .option('--all', 'list every tensor, not only the worst and the wrong ones')
    .addOption(targetOption())
    .addOption(precisionOption())
    .addOption(tablesOption())
    .addOption(marchOption())
    .addOption(threadsOption())
    .addOption(jsonOption())
    .addHelpText('after', rules)
    .addHelpText(
      'after',
      examples('ultramem verify test/reference/goldens', 'ultramem verify case.safetensors --target interpreter --all'),
    )
    .action(async (path: string, flags: VerifyFlags) => {
      const { openGoldens } = await import('../verify/golden.ts');
      const { verifyCase } = await import('../verify/verify-case.ts');
      const { target, precision, tables, march, threads } = flags;
      const reports: CaseReport[] = [];
      const onTarget = tellTarget(terminal);
      for (const golden of await openGoldens(path)) {
        terminal.signal.throwIfAborted();
        const onProgress = (progress: Progress): void =>
          terminal.progress({ ...progress, stage: `${golden.name}: ${progress.stage}` });
        onProgress({ stage: 'reading' });
        const report = await verifyCase(golden, {
          target,
          precision,
          tables,
          march,
          threads,
          signal: terminal.signal,
          onProgress,
          onTarget,
        });
        reports.push(report);
        if (!flags.json) terminal.print(shown(report, flags.all === true));
      }
      const count = (state: CaseReport['state']): number => reports.filter((report) => report.state === state).length;
      const checked = count('passed') + count('failed');
      const verdict = { target, passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
      if (flags.json) terminal.printJson({ ...verdict, cases: reports });
      if (checked === 0 && !flags.json) throw nothingToVerify(path, 'every case was skipped');
      if (!flags.json)
        terminal.print(`${target}: ${verdict.passed} passed, ${verdict.failed} failed, ${verdict.skipped} skipped`);
      terminal.exitCode = verdict.failed > 0 || checked === 0 ? 1 : 0;
    });
}

const rules = `
A case holds in.*, w.*, mid.* and out.*, and says its kind and config. Floats must agree within 1e-5 relative l2, and each
element within 1e-4 of (root mean square + its magnitude). Indices must be equal, but neighbours whose scores lie closer
than 1e-5 of the scores' standard deviation may change places. With --precision bf16 or --tables, values are held to what the
interpreter computes when it stores them the same way, within 1e-2; choices to the scores that they reach, since rounding lets
close ones fall otherwise. How far the outputs then lie from the reference is told. The interpreter is held to every mid.*, the cpu target to
those that fusion keeps, always the retrieved slots and their scores.`;

/** One case as text: a head line, and its tensors where asked for or wrong. */
function shown(report: CaseReport, all: boolean): string {
  const { name, kind, state, reason, comparisons, notKept, fromReference = [] } = report;
  if (state === 'skipped') return `${name} (${kind}): skipped, ${reason}`;
  const worst = comparisons.reduce((most, { error }) => Math.max(most, Number.isNaN(error) ? 1 : error), 0);
  const lacks = notKept.length === 0 ? '' : `, ${notKept.length} intermediates fused away`;
  const distances = fromReference.map(
    ({ name: output, error }) => `, ${output} ${error.toExponential(1)} from the reference`,
  );
  const head = `${name} (${kind}): ${state}, ${comparisons.length} tensors, worst error ${worst.toExponential(1)}${lacks}${distances.join('')}`;
  const rows = comparisons.filter(({ ok }) => all || !ok);
  if (rows.length === 0) return head;
  const table = new Table(plainTable(['', 'tensor', 'error', 'swapped', 'worst place'], [2, 3]));
  for (const { ok, name: tensor, error, swapped, note } of rows) {
    table.push([ok ? 'ok' : 'OFF', tensor, error.toExponential(2), swapped, note ?? '']);
  }
  return `${head}\n${table.toString().replace(/^/gm, '  ')}`;
}
