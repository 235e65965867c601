// `ultramem doctor`: what this machine has and lacks.

import Table from 'cli-table3';
import { Command } from 'commander';
import { examples, jsonOption } from './options.ts';
import { plainTable } from './table.ts';
import type { Terminal } from './terminal.ts';

const marks = { ok: 'ok', limited: '--', missing: 'MISSING' } as const;

export function doctorVerb(terminal: Terminal): Command {
  return new Command('doctor')
    .description('say what this machine has and lacks to compile and run models')
    .addOption(jsonOption())
    .addHelpText('after', examples('ultramem doctor', 'ultramem doctor --json'))
    .action(async ({ json }: { json?: boolean }) => {
      const { examineMachine } = await import('../machine.ts');
      const facts = await examineMachine();
      const ready = facts.every((fact) => fact.state !== 'missing');
      terminal.exitCode = ready ? 0 : 1;
      if (json) return terminal.printJson({ ready, facts });
      const table = new Table(plainTable(['', 'what', 'found']));
      for (const { name, state, found } of facts) table.push([marks[state], name, found]);
      terminal.print(table.toString());
      for (const { name, advice } of facts) if (advice !== undefined) terminal.print(`${name}: ${advice}`);
      terminal.print(ready ? 'Ready to compile for the cpu target.' : 'Not ready to compile for the cpu target.');
    });
}
