// Tables that stay in their file: what may read them, and asking for their rows before they are needed.

import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { dtypeBytes } from '../support/dtype.ts';
import { weightReadWhole } from '../support/errors/plan.ts';
import type { Kernel } from './launch.ts';
import type { Scheduler } from './scheduler.ts';
import type { AnyLaunch, Count, View } from './types.ts';
import { isDense } from './views.ts';

/** Kernels that read rows which a step chooses, and no others. */
const gathers: readonly Kernel[] = [
  'ask_rows',
  'gather',
  'gather_dot',
  'gather_pool',
  'gather_rows',
  'pool_linear',
  'rescore_topk',
];

/** @throws UltramemError weight-read-whole where one of `launches` reads all of a weight that stays in its file */
export function requireRowsOfFiles(graph: Graph, at: Scheduler, launches: readonly AnyLaunch[]): void {
  const inFile = new Map(
    graph.weights.flatMap((w) => (w.placement === 'file' ? [[at.view(w.id).buffer, w.name] as const] : [])),
  );
  for (const { kernel, reads, computes, loc } of launches) {
    if (gathers.includes(kernel)) continue;
    for (const view of Object.values(reads) as (View | null)[]) {
      const name = view === null ? undefined : inFile.get(view.buffer);
      if (name !== undefined) throw weightReadWhole(name, computes, loc);
    }
  }
}

/** The table that a gather_pool reads at these slots, possibly through reshapes. */
export function valueTable(slot: ValueId, at: Scheduler): View | null {
  for (const user of at.index.users(slot)) {
    const table = user.inputs[0]!;
    if (user.op === 'gather_pool' && user.inputs[1] === slot && at.index.stageOf(table) === 'prepare') {
      const view = at.view(table);
      return isDense(view) ? view : null;
    }
    if (user.op === 'reshape') return valueTable(user.results[0]!.id, at);
  }
  return null;
}

/**
 * Has the pages of a table's rows read side by side before a gather waits for them one after the other: where the table stays in
 * its file, and nothing asked for them before. `slots`: the gather's operand, `width` of them a row, modulo `count` rows.
 */
export function askRows(
  node: Node,
  at: Scheduler,
  table: View,
  {
    id,
    view,
    rows,
    width,
  }: { readonly id: ValueId; readonly view: View; readonly rows: Count; readonly width: number },
): void {
  if (at.onDevice || !at.isInFile(table) || !isDense(table) || isAskedFor(id, table, at)) return;
  const rowBytes = table.strides[0]! * dtypeBytes[table.dtype];
  at.launch('ask_rows', {
    rows,
    constants: { N: table.shape[0] as number, rowBytes, R: width },
    reads: { table, slot: view },
    writes: {},
  });
  at.decide(`%${node.results[0]!.id}`, 'asks for rows ahead', 'the table stays in its file, whose pages take a while');
}

/** Whether a rescore_topk that chose these slots has asked for the rows. */
function isAskedFor(slot: ValueId, table: View, at: Scheduler): boolean {
  const node = at.index.producer(slot);
  if (node?.op === 'reshape') return isAskedFor(node.inputs[0]!, table, at);
  return node?.op === 'rescore_topk' && valueTable(slot, at)?.buffer === table.buffer;
}
