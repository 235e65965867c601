// f(reshape x) → reshape(f x) for functions of single elements, so that chains of them are not cut by views.
// Needs nothing. After it a reshape stands behind the arithmetic it can stand behind. x + reshape y moves only where both move alike.
// Before the rules that match address arithmetic and fuseElementwise, which ask for direct neighbours.

import type { Dim, Graph, Node, ValueId } from '../ir/graph.ts';
import { sameShape } from '../ir/graph.ts';
import { matches } from '../ir/index.ts';
import type { Trail } from '../ir/trail.ts';
import { reshaped } from './arrange.ts';
import { type Here, sweep } from './sweep.ts';

export const sinkReshapes = (graph: Graph, trail?: Trail): Graph => sweep(graph, [sinkReshape], trail);

function sinkReshape(node: Node, here: Here): boolean {
  const { uses, rewriter } = here;
  const result = node.results[0]!;
  const shape = viewedShape(here, node);
  if (shape === undefined) return false;
  const inputs = node.inputs.map((id) => (isScalar(here, id) ? id : uses.made(id, 'reshape')!.inputs[0]!));
  const call = matches(node, 'unary');
  const cast = matches(node, 'cast');
  const map = matches(node, 'binary');
  const moved = call
    ? rewriter.addOne('unary', inputs, call.attrs, node)
    : cast
      ? rewriter.addOne('cast', inputs, cast.attrs, node)
      : map && rewriter.addOne('binary', inputs, map.attrs, node);
  if (moved === undefined) return false;
  rewriter.replaceNode(node, [reshaped(here, moved, result.type.shape)]);
  return true;
}

/** The common shape before the reshapes of all operands that are not scalars. */
function viewedShape(here: Here, node: Node): readonly Dim[] | undefined {
  if (!['unary', 'binary', 'cast'].includes(node.op)) return undefined;
  const { uses } = here;
  const wide = node.inputs.filter((id) => !isScalar(here, id));
  const views = wide.map((id) => uses.made(id, 'reshape'));
  const first = views[0] && uses.type(views[0].inputs[0]!).shape;
  const all = views.every((view, i) => {
    const alike = view && first && sameShape(uses.type(view.inputs[0]!).shape, first);
    return alike && sameShape(uses.type(wide[i]!).shape, node.results[0]!.type.shape);
  });
  return all ? first : undefined;
}

const isScalar = ({ uses }: Here, id: ValueId): boolean => uses.type(id).shape.length === 0;
