// Three launches per memory layer instead of six: where both sides' scores go to a rescore alone, the rescore merges their
// partial lists itself, if there are any, and one launch scores both sides. Adds no work, saves the waits between launches.

import { invariant } from '../../support/errors.ts';
import type { View } from '../types.ts';
import type { DeviceLaunch } from './launch.ts';

const viewOf = (launch: DeviceLaunch, name: string): View => {
  const view = launch.pointers.find((p) => p.name === name)?.view;
  invariant(view != null, `${launch.kernel} has no operand ${name}`);
  return view;
};

/** What launches must share to be one. */
const shapeOf = ({ kernel, constants, rows, grid, pointers }: DeviceLaunch) => [
  ...[kernel, constants, rows, grid],
  pointers.map(({ view }) => view?.dtype),
];

const same = (a: readonly unknown[], b: readonly unknown[]): boolean => JSON.stringify(a) === JSON.stringify(b);

/** The launches of one side: what scores its keys, and, where they come in parts, what merges the partial lists. */
interface Side {
  readonly scores: DeviceLaunch;
  readonly merge: DeviceLaunch | undefined;
}

/** `launches` with every retrieval that allows it joined. `isTemporary`: whether a buffer is gone after the step. */
export function fuseRetrieval(
  launches: readonly DeviceLaunch[],
  isTemporary: (buffer: string) => boolean,
): readonly DeviceLaunch[] {
  const touching = (buffer: string) =>
    launches.filter(({ pointers }) => pointers.some(({ view }) => view?.buffer === buffer));

  const sideOf = (rescore: DeviceLaunch, index: View): Side | undefined => {
    const last = touching(index.buffer).find((l) => l.kernel.startsWith('score_topk'));
    if (last === undefined || index.offset !== 0) return undefined;
    const values = viewOf(last, 'values').buffer;
    const alone =
      [index.buffer, values].every(isTemporary) &&
      touching(index.buffer).every((l) => l === last || l === rescore) &&
      touching(values).every((l) => l === last);
    if (!alone) return undefined;
    if (last.kernel !== 'score_topk_merge') return { scores: last, merge: undefined };
    const scores = touching(viewOf(last, 'partial').buffer).find((l) => l !== last);
    return scores && { scores, merge: last };
  };

  const replaced = new Map<DeviceLaunch, readonly DeviceLaunch[]>();
  for (const rescore of launches.filter((l) => l.kernel === 'rescore_topk')) {
    const row = sideOf(rescore, viewOf(rescore, 'rowIndex'));
    const col = sideOf(rescore, viewOf(rescore, 'colIndex'));
    if (row === undefined || col === undefined || row.scores === col.scores) continue;
    if (!same(shapeOf(row.scores), shapeOf(col.scores))) continue;
    const [first, second] = [row.scores, col.scores].sort((a, b) => launches.indexOf(a) - launches.indexOf(b));
    replaced.set(first!, []);
    replaced.set(second!, [pairOf(row, col, second!)]);
    if (row.merge === undefined || col.merge === undefined) continue;
    for (const merge of [row.merge, col.merge]) replaced.set(merge, []);
    replaced.set(rescore, [merging(rescore, row.merge, col.merge)]);
  }
  return launches.flatMap((launch) => replaced.get(launch) ?? [launch]);
}

/** One launch for the scores of both sides, at the place of the later one. */
function pairOf(row: Side, col: Side, later: DeviceLaunch): DeviceLaunch {
  const pointers = (side: Side, name: string) => side.scores.pointers.map((p) => ({ ...p, name: `${p.name}_${name}` }));
  const [x, y, z] = later.grid;
  return {
    ...later,
    kernel: `${later.kernel}_pair`,
    pointers: [...pointers(row, 'row'), ...pointers(col, 'col')],
    grid: [x, 2 * y, z],
    computes: `${row.scores.computes}; ${col.scores.computes}`,
    nodes: [...row.scores.nodes, ...col.scores.nodes],
  };
}

/** The rescore, reading partial lists; its last constants are the number of parts and the floats per load. */
function merging(rescore: DeviceLaunch, row: DeviceLaunch, col: DeviceLaunch): DeviceLaunch {
  const partials: Readonly<Record<string, View>> = {
    rowIndex: viewOf(row, 'partial'),
    colIndex: viewOf(col, 'partial'),
  };
  const parts = partials.rowIndex!.shape[2] as number;
  return {
    ...rescore,
    constants: rescore.constants.with(-2, parts),
    pointers: rescore.pointers.map((p) => ({ ...p, view: partials[p.name] ?? p.view })),
    nodes: [...row.nodes, ...col.nodes, ...rescore.nodes],
  };
}
