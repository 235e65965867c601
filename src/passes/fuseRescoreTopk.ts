// gather_dot of both sides, grid_topk and the address arithmetic behind it, shuffle included → rescore_topk (UltraMem §1.8-11).
// Needs gather_dot and grid_topk. A grid whose places are used in another way stays as it is.
// After it neither rank scores of selected keys nor places in the grid are stored. Right behind fuseGridTopk, on its results.

import type { Graph, Node } from '../ir/graph.ts';
import { sameType } from '../ir/graph.ts';
import { inferTypes, isProblem, type Match, matches } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { addressOf, readers, shuffleOf } from './address.ts';
import { reshaped } from './arrange.ts';
import { type Here, idLike, sweep, throughReshapes } from './sweep.ts';

export const fuseRescoreTopk = (graph: Graph, trail?: Trail): Graph => sweep(graph, [rescoreTopk], trail);

function rescoreTopk(node: Node, here: Here): boolean {
  const grid = matches(node, 'grid_topk');
  if (!grid) return false;
  const { uses, rewriter } = here;
  const [row, col] = [dotBehind(here, node, 0), dotBehind(here, node, 1)];
  if (!row || !col) return false;
  const address = addressOf(here, {
    ...{ position: grid.result, m: uses.type(node.inputs[0]!).shape[2] as number, k: grid.attrs.k },
    ...{ rowIndex: row.inputs[2]!, colIndex: col.inputs[2]! },
  });
  if (!address || address.keys !== uses.type(row.inputs[1]!).shape[1]) return false;
  const shuffle = shuffleOf(here, address.value, address.keys ** 2);
  const operands = [
    ...[row.inputs[2]!, col.inputs[2]!],
    ...[row.inputs[0]!, col.inputs[0]!],
    ...[row.inputs[1]!, col.inputs[1]!],
    node.inputs[2]!,
    ...(shuffle ? [shuffle.table] : []),
  ];
  const attrs = { k: grid.attrs.k, shuffled: shuffle !== undefined };
  const types = operands.map((id) => uses.type(id));
  if (isProblem(inferTypes('rescore_topk', types, attrs))) return false;
  const [slot, scores] = rewriter.add('rescore_topk', operands, attrs, node, idLike('rescore_topk', node)) as [
    string,
    string,
  ];
  const replaced = shuffle?.value ?? address.value;
  rewriter.replaceValue(replaced, reshaped(here, slot, uses.type(replaced).shape));
  rewriter.replaceValue(node.results[1]!.id, scores);
  return true;
}

/** The gather_dot that makes operand `i` of the grid, when nobody else reads its scores. */
function dotBehind({ uses }: Here, grid: Node, i: number): Match<'gather_dot'> | undefined {
  const dot = uses.made(throughReshapes(uses, grid.inputs[i]!), 'gather_dot');
  if (!dot || !sameType(uses.type(dot.result), uses.type(grid.inputs[i]!))) return undefined;
  return readers({ uses }, dot.result).every((user) => user === grid) ? dot : undefined;
}
