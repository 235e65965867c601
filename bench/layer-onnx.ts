// The same UltraMem V1 layer as an ONNX graph, op by op as an exporter writes it, with what depends on weights alone already
// computed (normed keys, transposed projections).

import { type Tensor, tensor } from 'ultramem/runtime';
import { keysPerSide, type LayerWeights, type Sizes } from './layer-weights.ts';
import { OnnxGraph } from './onnx.ts';

const EPS = 1e-5;

/**
 * A model from x f32[T,D] to y f32[T,D]. `folded`: u and v are folded into the keys, so that stage 1 is one product per side and
 * rank scores are computed for the selected keys only: what a person who knows the layer may do by hand.
 */
export function layerOnnx(
  s: Sizes,
  weights: LayerWeights,
  { folded }: { folded: boolean },
): { bytes: Uint8Array; nodes: number } {
  const graph = new OnnxGraph();
  const { width: D, kdim: Dk, vdim: Dv, knn: m, heads: H, rank: r, cores: h, expansion: E } = s;
  const n = keysPerSide(s);
  const weight = (name: string) => weights[name] as Tensor<'f32'>;
  const one = (type: string, ...inputs: string[]) => graph.node(type, inputs)[0]!;
  const reshape = (value: string, ...shape: number[]) => one('Reshape', value, graph.integers(shape));
  const gatherElements = (value: string, index: string) =>
    graph.node('GatherElements', [value, index], { axis: -1 })[0]!;
  const concat = (inputs: string[], axis: number) => graph.node('Concat', inputs, { axis })[0]!;
  const scalar = (name: string, value: number) => graph.constant(name, tensor('f32', [1], Float32Array.of(value)));

  // The query, its halves normed.
  const x = graph.input('x', ['T', D]);
  const projected = one('MatMul', x, graph.constant('query', transposed(weight('query_proj.weight'))));
  const q = reshape(projected, -1, 2, Dk);
  const square = graph.node('ReduceMean', [one('Mul', q, q)], { axes: [-1] })[0]!;
  const scale = one('Sqrt', one('Add', square, scalar('eps', EPS)));
  const normed = one('Mul', one('Div', q, scale), graph.constant('query_norm', weight('query_norm.weight')));
  const halves = graph.node('Split', [normed], { axis: 1 }, 2);

  // Each side: rank scores of the m best keys [T,H,m,r], and which they are [T,H,m].
  const keys = normedKeys(s, weights);
  const side = (number: 0 | 1, factors: string) => {
    const u = weight(factors).data; // [H,r]
    const query = reshape(halves[number]!, -1, Dk);
    if (folded) {
      const products = one('MatMul', query, graph.constant(`folded${number}`, packedKeys(s, keys, number, u)));
      const [, index] = graph.node('TopK', [reshape(products, -1, H, n), graph.integers([m])], { axis: -1 }, 2);
      // Rows h·n' + i of the keys [H·n', r·Dk], so that one Gather takes a key of every rank.
      const heads = graph.constant(
        `heads${number}`,
        tensor(
          'i64',
          [1, H, 1],
          BigInt64Array.from({ length: H }, (_, i) => BigInt(i * n)),
        ),
      );
      const rows = graph.constant(
        `keys${number}`,
        tensor('f32', [H * n, r * Dk], keys.data.slice(number * H * n * r * Dk, (number + 1) * H * n * r * Dk)),
      );
      const selected = reshape(one('Gather', rows, one('Add', index!, heads)), -1, H * m * r, Dk);
      return { index: index!, scores: reshape(one('MatMul', selected, reshape(query, -1, Dk, 1)), -1, H, m, r) };
    }
    const products = one('MatMul', query, graph.constant(`keys${number}`, packedKeys(s, keys, number)));
    const scores = reshape(products, -1, H, r, n);
    const merge = graph.constant(factors, tensor('f32', [1, H, r, 1], u as Float32Array<ArrayBuffer>));
    const merged = graph.node('ReduceSum', [one('Mul', scores, merge), graph.integers([2])], { keepdims: 0 })[0]!;
    const [, index] = graph.node('TopK', [merged, graph.integers([m])], { axis: -1 }, 2);
    const perRank = concat(
      Array.from({ length: r }, () => one('Unsqueeze', index!, graph.integers([2]))),
      2,
    );
    const selected = gatherElements(scores, perRank); // [T,H,r,m]
    return { index: index!, scores: graph.node('Transpose', [selected], { perm: [0, 1, 3, 2] })[0]! };
  };
  const row = side(0, 'tucker_core_u');
  const col = side(1, 'tucker_core_v');

  // The grid of every core, the m best of their sum, the cores' scores there.
  const cores = new Float32Array(H * h * r * r);
  for (let i = 0; i < cores.length; i++) {
    const [head, core, rest] = [Math.floor(i / (h * r * r)), Math.floor(i / (r * r)) % h, i % (r * r)];
    cores[i] = weight(`tucker_core.${core}`).data[head * r * r + rest]!;
  }
  const core = graph.constant('cores', tensor('f32', [H, h, r, r], cores));
  const halfway = one('MatMul', one('Unsqueeze', row.scores, graph.integers([2])), core); // [T,H,h,m,r]
  const columns = graph.node('Transpose', [col.scores], { perm: [0, 1, 3, 2] })[0]!;
  const grids = one('MatMul', halfway, one('Unsqueeze', columns, graph.integers([2]))); // [T,H,h,m,m]
  const flat = reshape(grids, -1, H, h, m * m);
  const sum = graph.node('ReduceSum', [flat, graph.integers([2])], { keepdims: 0 })[0]!;
  const [, position] = graph.node('TopK', [sum, graph.integers([m])], { axis: -1 }, 2);
  const perCore = concat(
    Array.from({ length: h }, () => one('Unsqueeze', position!, graph.integers([2]))),
    2,
  );
  const scores = gatherElements(flat, perCore); // [T,H,h,m]

  // Slots, and through the permutation to a table row and a block.
  const M = graph.integers([m]);
  const rowIndex = gatherElements(row.index, one('Div', position!, M));
  const colIndex = gatherElements(col.index, one('Mod', position!, M));
  const address = one('Add', one('Mul', rowIndex, graph.integers([n])), colIndex);
  const shuffle = BigInt64Array.from((weights.shuffle_index as Tensor<'i32'>).data, BigInt);
  const slot = one(
    'Gather',
    graph.constant('shuffle', tensor('i64', [shuffle.length], shuffle)),
    reshape(address, -1, H * m),
  );
  const N = graph.integers([s.knum ** 2]);
  const tableRow = one('Mod', slot, N);
  const block = one('Div', slot, N);

  // Weighted rows, summed per block by a product with 0 and 1; then the projection.
  const values = one('Gather', graph.constant('values', weight('values_for_look_up')), tableRow); // [T,R,Dv]
  const perRow = graph.node('Transpose', [scores], { perm: [0, 1, 3, 2] })[0]!;
  const weighted = one('Mul', reshape(values, -1, H * m, h, Dv / h), reshape(perRow, -1, H * m, h, 1));
  const blocks = graph.constant(
    'blocks',
    tensor(
      'i64',
      [1, E, 1],
      BigInt64Array.from({ length: E }, (_, i) => BigInt(i)),
    ),
  );
  const ofBlock = graph.node('Cast', [one('Equal', one('Unsqueeze', block, graph.integers([1])), blocks)], {
    to: 1,
  })[0]!;
  const pooled = one('MatMul', ofBlock, reshape(weighted, -1, H * m, Dv)); // [T,E,Dv]
  const projection = graph.constant('projection', transposed(weight('values_proj.weight')));
  graph.node('MatMul', [reshape(pooled, -1, E * Dv), projection], {}, ['y']);
  graph.output('y', ['T', D]);
  return { bytes: graph.bytes(), nodes: graph.nodeCount };
}

/** [a,b] → [b,a]. */
function transposed({ data, shape }: Tensor<'f32'>): Tensor<'f32'> {
  const [a, b] = shape as [number, number];
  const out = new Float32Array(a * b);
  for (let i = 0; i < a; i++) for (let j = 0; j < b; j++) out[j * a + i] = data[i * b + j]!;
  return tensor('f32', [b, a], out);
}

/** Keys normed over their width, as [2,H,n',r,Dk]. */
function normedKeys(s: Sizes, weights: LayerWeights): Tensor<'f32'> {
  const { kdim: Dk, heads: H, rank: r } = s;
  const n = keysPerSide(s);
  const keys = weights.keys!.data as Float32Array; // [H,2,n',Dk,r]
  const norm = weights['keys_norm.weight']!.data as Float32Array;
  const out = new Float32Array(keys.length);
  for (let head = 0; head < H; head++)
    for (let side = 0; side < 2; side++)
      for (let i = 0; i < n; i++)
        for (let rank = 0; rank < r; rank++) {
          const from = ((head * 2 + side) * n + i) * Dk * r + rank;
          const to = (((side * H + head) * n + i) * r + rank) * Dk;
          let square = 0;
          for (let d = 0; d < Dk; d++) square += keys[from + d * r]! ** 2;
          const scale = 1 / Math.sqrt(square / Dk + EPS);
          for (let d = 0; d < Dk; d++) out[to + d] = keys[from + d * r]! * scale * norm[d]!;
        }
  return tensor('f32', [2, H, n, r, Dk], out);
}

/** One side's keys as the right operand of a product: [Dk, H·r·n'], or with `merge` [H,r] folded in [Dk, H·n']. */
function packedKeys(s: Sizes, keys: Tensor<'f32'>, side: number, merge?: ArrayLike<number | bigint>): Tensor<'f32'> {
  const { kdim: Dk, heads: H, rank: r } = s;
  const n = keysPerSide(s);
  const columns = merge ? H * n : H * r * n;
  const out = new Float32Array(Dk * columns);
  for (let head = 0; head < H; head++)
    for (let i = 0; i < n; i++)
      for (let rank = 0; rank < r; rank++) {
        const from = (((side * H + head) * n + i) * r + rank) * Dk;
        const column = merge ? head * n + i : (head * r + rank) * n + i;
        const factor = merge ? Number(merge[head * r + rank]) : 1;
        for (let d = 0; d < Dk; d++) out[d * columns + column]! += factor * keys.data[from + d]!;
      }
  return tensor('f32', [Dk, columns], out);
}
