// Several unary and binary functions as one pass over the elements. Made by fusion.

import { invariant } from '../../support/errors.ts';
import { zeros } from '../../support/tensor.ts';
import { text } from '../attributes.ts';
import { callsOf, evaluator, maxOperands, operandsOf, parseExpression } from '../expression.ts';
import { floats, shapeOf } from '../host.ts';
import { isProblem, op } from '../op.ts';
import { broadcast, wrongDtype } from '../operands.ts';
import { broadcastStrides, forEachRow } from '../strides.ts';

/** `elementwise {expr}`: f32 operands a, b, c …, broadcast as in `binary` → f32. The expression reads every operand. */
export const elementwise = op({
  kind: 'elementwise',
  inputs: ['a', '...more'],
  attrs: { expr: text },
  infer(types, { expr }) {
    const body = parseExpression(expr);
    const read = body && operandsOf(body);
    if (!read || types.length > maxOperands || read.size !== types.length || Math.max(...read) >= types.length) {
      const wanted = `functions of the ${types.length} operands a, b, …, each read`;
      return { code: 'bad-attribute', message: 'elementwise: the expression does not fit', got: expr, wanted };
    }
    for (const [i, type] of types.entries()) {
      const wrong = wrongDtype('elementwise', `operand ${i}`, type, ['f32'], i);
      if (wrong) return wrong;
    }
    const shape = broadcast('elementwise', types);
    return isProblem(shape) ? shape : [{ dtype: 'f32', shape }];
  },
  flops: ({ results, attrs, count }) => callsOf(parseExpression(attrs.expr)!) * count(results[0]),
  run(tensors, { expr }) {
    const body = parseExpression(expr);
    const shape = broadcast('elementwise', tensors);
    invariant(body && !isProblem(shape), 'elementwise of operands that do not fit');
    const sizes = shape as readonly number[];
    const evaluate = evaluator(body);
    const out = zeros('f32', sizes);
    const sources = tensors.map(floats);
    const views = tensors.map((x) => [...broadcastStrides(shapeOf(x), sizes)]);
    const width = sizes.at(-1) ?? 1;
    const steps = views.map((view) => view.at(-1) ?? 0);
    const values = new Array<number>(sources.length);
    forEachRow(sizes, views, (offsets, row) => {
      for (let k = 0; k < width; k++) {
        for (let i = 0; i < sources.length; i++) values[i] = sources[i]![offsets[i]! + k * steps[i]!]!;
        out.data[row * width + k] = evaluate(values);
      }
    });
    return [out];
  },
});
