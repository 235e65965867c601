// topk over the m × m grid row·core·colᵀ, and the cores' own scores at its places → grid_topk (UltraMem §1.8-9).
// Needs nothing; finds the grid in any order of its products and sums, all cores at once or one by one.
// After it no [T,…,m·m] value is left behind such a topk. After fuseGatherDot, so that row and col are values, not products.

import type { Graph, Node, ValueId } from '../ir/graph.ts';
import { inferTypes, isProblem, matches } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { arrange, reshaped, type Site, shapeOfAxes } from './arrange.ts';
import { coreGathers, coreScoreAxes, type Grid, gridsOf } from './grid.ts';
import { spanOf } from './product.ts';
import { type Here, idLike, sweep } from './sweep.ts';

export const fuseGridTopk = (graph: Graph, trail?: Trail): Graph => sweep(graph, [gridTopk], trail);

function gridTopk(node: Node, here: Here): boolean {
  const topk = matches(node, 'topk');
  if (!topk) return false;
  const { uses, rewriter } = here;
  const [input] = topk.inputs as [ValueId];
  const grids = gridsOf(uses, input, uses.type(input).shape.at(-1) as number);
  const grid = grids?.[0];
  if (!grids || !grid) return false;
  const { k } = topk.attrs;
  const heads = spanOf(grid.heads);
  const coreCounts = grids.map(({ coreAxes }) => spanOf(coreAxes[1]!));
  const r = shapeOfAxes(grid.rowAxes)![3]!;
  const core = [heads, coreCounts.reduce((a, b) => a + b), r, r];
  const types = [shapeOfAxes(grid.rowAxes)!, shapeOfAxes(grid.colAxes)!, core].map((shape) => ({
    dtype: 'f32' as const,
    shape,
  }));
  if (isProblem(inferTypes('grid_topk', types, { k }))) return false;
  const operands = [
    arrange(here, grid.row.value, grid.row.axes, grid.rowAxes),
    arrange(here, grid.col.value, grid.col.axes, grid.colAxes),
    allCores(here, grids, heads),
  ];
  const fused = rewriter.add('grid_topk', operands, { k }, node, idLike('grid_topk', node));
  const [position, scores] = fused as [ValueId, ValueId];
  const [best, index] = node.results as [Node['results'][0], Node['results'][0]];
  for (const gather of coreGathers(uses, index.id)) {
    const which = grids.findIndex((one) => coreScoreAxes(uses, gather, one, index.id, k) !== undefined);
    if (which < 0) continue;
    const { from, to } = coreScoreAxes(uses, gather, grids[which]!, index.id, k)!;
    const start = coreCounts.slice(0, which).reduce((a, b) => a + b, 0);
    const own =
      grids.length === 1
        ? scores
        : rewriter.addOne(
            'slice',
            [scores],
            { axis: 3, start, end: start + coreCounts[which]! },
            gather,
            'core_scores',
          );
    rewriter.replaceValue(gather.results[0]!.id, arrange(here, own, from, to));
  }
  if (!uses.isUnused(best.id)) {
    const sums = rewriter.addOne('reduce', [scores], { fn: 'sum', axis: 3 }, node, idLike('grid_best', node));
    rewriter.replaceValue(best.id, reshaped(here, sums, best.type.shape));
  }
  rewriter.replaceValue(index.id, reshaped(here, position, index.type.shape));
  return true;
}

/** The cores of all grids as one [H,h,r,r]. A core that all heads share is repeated. All of it once, when weights load. */
function allCores(site: Site, grids: readonly Grid[], heads: number): ValueId {
  const joined = (parts: readonly ValueId[], axis: number): ValueId =>
    parts.length === 1 ? parts[0]! : site.rewriter.addOne('concat', parts, { axis }, site.like, 'core');
  const cores = grids.map(({ core, coreAxes }) => {
    const arranged = arrange(site, core.value, core.axes, coreAxes);
    const isShared = site.rewriter.type(arranged).shape[0] !== heads;
    return isShared ? joined(new Array<ValueId>(heads).fill(arranged), 0) : arranged;
  });
  return joined(cores, 1);
}
