// The passes in their order, each with the reason for its place.

import type { Graph, Trail } from '../ir/index.ts';
import { commonSubexpressions } from './commonSubexpressions.ts';
import { deadCode } from './deadCode.ts';
import { foldConstants } from './foldConstants.ts';
import { foldScoreWeights } from './foldScoreWeights.ts';
import { fuseAddNorm } from './fuseAddNorm.ts';
import { fuseElementwise } from './fuseElementwise.ts';
import { fuseExpertLinear } from './fuseExpertLinear.ts';
import { fuseGatherDot } from './fuseGatherDot.ts';
import { fuseGatherPool } from './fuseGatherPool.ts';
import { fuseGridTopk } from './fuseGridTopk.ts';
import { fuseRescoreTopk } from './fuseRescoreTopk.ts';
import { fuseScoreTopk } from './fuseScoreTopk.ts';
import { fuseSumGridTopk } from './fuseSumGridTopk.ts';
import { hoistWeights } from './hoistWeights.ts';
import { poolThenProject } from './poolThenProject.ts';
import { selectThenScore } from './selectThenScore.ts';
import { shareInputProjections } from './shareInputProjections.ts';
import { sinkReshapes } from './sinkReshapes.ts';

/**
 * One rewrite of graphs: the same meaning, and the same object where nothing changed. Its name is the function's. A trail, where one is
 * kept, is told of every graph that it makes: the rewriter does, whoever makes one otherwise has to.
 */
export type Pass = (graph: Graph, trail?: Trail) => Graph;

/** All passes, in order. */
export const pipeline: readonly Pass[] = [
  // One spelling.
  deadCode, // before all: nobody fuses what nobody reads, and readers are counted
  commonSubexpressions, // the same view or division written twice is one value, so that rules can compare ids
  foldConstants, // fewer spellings for everything below
  sinkReshapes, // arithmetic next to arithmetic, for the address rules and fuseElementwise

  // Exact rewrites of products, from the outside in.
  poolThenProject, // before selectThenScore, which would gather one projector per row
  selectThenScore, // before foldScoreWeights: rank scores then have one reader left, their merge
  foldScoreWeights, // before fuseScoreTopk, which wants one product with keys known at load
  shareInputProjections, // after the folds, so that it joins weights nobody else wants to fold

  // Mixtures of experts.
  fuseExpertLinear, // after the rewrites that bring picks to weights; before fuseGatherDot, which would take experts for keys

  // Kernels of retrieval, in the order of the data.
  fuseScoreTopk,
  fuseGatherDot, // before fuseGridTopk, so that rank scores are values and no products
  fuseGridTopk,
  fuseRescoreTopk, // on gather_dot and grid_topk
  fuseSumGridTopk, // on the sorted lists of fuseScoreTopk
  fuseGatherPool,

  // Neighbours.
  sinkReshapes, // again: slots of fused kernels come with heads, and arithmetic on them in the shape of the rows
  fuseAddNorm, // before fuseElementwise, which would take the addition
  fuseElementwise,

  // What fusion left behind.
  hoistWeights, // also moves the folded, joined and arranged weights
  foldConstants, // again: arranging operands makes views of views
  commonSubexpressions, // again: two matches may have arranged one weight alike
  deadCode, // again: outputs of views that were folded away
];

export {
  commonSubexpressions,
  deadCode,
  foldConstants,
  foldScoreWeights,
  fuseAddNorm,
  fuseElementwise,
  fuseExpertLinear,
  fuseGatherDot,
  fuseGatherPool,
  fuseGridTopk,
  fuseRescoreTopk,
  fuseScoreTopk,
  fuseSumGridTopk,
  hoistWeights,
  poolThenProject,
  selectThenScore,
  shareInputProjections,
  sinkReshapes,
};
