// Three launches per memory layer instead of six: where both sides' scores go to a rescore alone, the rescore merges their
// partial lists itself, and one launch scores both sides. Adds no work, saves the waits between launches.

import { invariant } from '../../support/errors.ts';
import type { View } from '../types.ts';
import type { DeviceLaunch, DevicePointer } from './launch.ts';

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

/** The launches of one side: what scores its keys, and what merges the partial lists. */
interface Side {
  readonly scores: DeviceLaunch;
  readonly merge: DeviceLaunch;
  readonly partial: View;
}

/** `launches` with every retrieval that allows it joined. `isTemporary`: whether a buffer is gone after the step. */
export function fuseRetrieval(
  launches: readonly DeviceLaunch[],
  isTemporary: (buffer: string) => boolean,
): readonly DeviceLaunch[] {
  const touching = (buffer: string) =>
    launches.filter(({ pointers }) => pointers.some(({ view }) => view?.buffer === buffer));

  const sideOf = (rescore: DeviceLaunch, index: View): Side | undefined => {
    const merge = launches.find((l) => l.kernel === 'score_topk_merge' && viewOf(l, 'index').buffer === index.buffer);
    if (merge === undefined || index.offset !== 0) return undefined;
    const partial = viewOf(merge, 'partial');
    const scores = touching(partial.buffer).find((l) => l !== merge);
    const values = viewOf(merge, 'values').buffer;
    const alone =
      [index.buffer, values].every(isTemporary) &&
      touching(index.buffer).every((l) => l === merge || l === rescore) &&
      touching(values).every((l) => l === merge);
    return scores !== undefined && alone ? { scores, merge, partial } : undefined;
  };

  const replaced = new Map<DeviceLaunch, readonly DeviceLaunch[]>();
  for (const rescore of launches.filter((l) => l.kernel === 'rescore_topk')) {
    const row = sideOf(rescore, viewOf(rescore, 'rowIndex'));
    const col = sideOf(rescore, viewOf(rescore, 'colIndex'));
    if (row === undefined || col === undefined || row.merge === col.merge) continue;
    if (!same(shapeOf(row.scores), shapeOf(col.scores))) continue;
    const [first, second] = [row.scores, col.scores].sort((a, b) => launches.indexOf(a) - launches.indexOf(b));
    for (const launch of [first!, row.merge, col.merge]) replaced.set(launch, []);
    replaced.set(second!, [pairOf(row, col, second!)]);
    replaced.set(rescore, [merging(rescore, row, col)]);
  }
  return launches.flatMap((launch) => replaced.get(launch) ?? [launch]);
}

/** One launch for the scores of both sides, at the place of the later one. */
function pairOf(row: Side, col: Side, later: DeviceLaunch): DeviceLaunch {
  const pointers = ([side, name]: readonly [Side, string]): DevicePointer[] => [
    { name: `q_${name}`, view: viewOf(side.scores, 'q'), access: 'read' },
    { name: `keys_${name}`, view: viewOf(side.scores, 'keys'), access: 'read' },
    { name: `partial_${name}`, view: side.partial, access: 'write' },
  ];
  const [x, y, z] = later.grid;
  return {
    ...later,
    kernel: `${later.kernel}_pair`,
    pointers: [...pointers([row, 'row']), ...pointers([col, 'col'])],
    grid: [x, 2 * y, z],
    computes: `${row.scores.computes}; ${col.scores.computes}`,
  };
}

/** The rescore, reading partial lists; its last constants are the number of parts and the floats per load. */
function merging(rescore: DeviceLaunch, row: Side, col: Side): DeviceLaunch {
  const parts = row.partial.shape[2] as number;
  const partials: Readonly<Record<string, View>> = { rowIndex: row.partial, colIndex: col.partial };
  return {
    ...rescore,
    constants: rescore.constants.with(-2, parts),
    pointers: rescore.pointers.map((p) => ({ ...p, view: partials[p.name] ?? p.view })),
  };
}
