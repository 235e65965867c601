// Cases of ops that work element by element, or along one axis, and of ops that move elements.

import type { AttrsOf, Dim, Type } from '../../../src/ir/index.ts';
import type { Tensor } from '../../../src/support/tensor.ts';
import { f32, GraphDraft, i32, type Value } from '../../graph-draft.ts';
import { type OpCase, stateless } from '../case.ts';
import { at, f32Of, fill, i32Of, sum } from '../naive.ts';

type Fn = AttrsOf<'binary'>['fn'] | AttrsOf<'unary'>['fn'];

const shapeText = (shape: readonly Dim[]): string => `[${shape.join(',')}]`;
const sized = (shape: readonly Dim[], T: number): number[] => shape.map((dim) => (dim === 'T' ? T : (dim as number)));

/** A graph of one node; operand i is called xi. */
function oneNode(op: string, operands: readonly Type[], make: (g: GraphDraft, values: Value[]) => Value) {
  const g = new GraphDraft(op);
  const values = operands.map((type, i) =>
    type.shape.includes('T') ? g.input(`x${i}`, type) : g.weight(`x${i}`, type),
  );
  return g.output('y', make(g, values)).build();
}

/** ∫ of 2/√π·e^{−t²} by Simpson's rule. */
function erf(x: number): number {
  const steps = 400;
  const f = (i: number) => Math.exp(-(((x * i) / steps) ** 2));
  const weight = (i: number) => (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2);
  return (2 / Math.sqrt(Math.PI)) * (x / steps / 3) * sum(steps + 1, (i) => weight(i) * f(i));
}

const unaryFormulas: Record<AttrsOf<'unary'>['fn'], (x: number) => number> = {
  neg: (x) => 0 - x,
  exp: (x) => Math.E ** x,
  log: (x) => Math.log2(x) * Math.LN2,
  sqrt: (x) => x ** 0.5,
  rsqrt: (x) => x ** -0.5,
  square: (x) => x ** 2,
  abs: (x) => (x < 0 ? -x : x),
  relu: (x) => Math.max(x, 0),
  sigmoid: (x) => 0.5 + 0.5 * Math.tanh(x / 2),
  silu: (x) => x * (0.5 + 0.5 * Math.tanh(x / 2)),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  tanh: (x) => (Math.exp(x) - Math.exp(-x)) / (Math.exp(x) + Math.exp(-x)),
};

const unaries = Object.entries(unaryFormulas).flatMap(([name, formula]): OpCase[] => {
  const fn = name as AttrsOf<'unary'>['fn'];
  const positive = fn === 'log' || fn === 'sqrt' || fn === 'rsqrt';
  return [f32('T', 7), f32('T', 3, 33)].map((type) =>
    stateless(
      'unary',
      `${fn},${shapeText(type.shape)}`,
      oneNode('unary', [type], (g, [x]) => g.node('unary', [x!], { fn })),
      {
        inputs: (random, T) => ({
          x0: random.f32(sized(type.shape, T), () => (positive ? random.uniform() + 0.01 : 2 * random.normal())),
        }),
        outputs: ({ x0 }) => ({ y: { ...x0!, data: (x0!.data as Float32Array).map(formula) } as Tensor }),
      },
    ),
  );
});

const binaryFormulas: Record<AttrsOf<'binary'>['fn'], (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  idiv: (a, b) => (a - (((a % b) + b) % b)) / b,
  imod: (a, b) => ((a % b) + b) % b,
};

/** The element of an operand that an index of the broadcast result reads. */
const stretched = (x: Tensor, index: readonly number[]): number =>
  at(x, ...x.shape.map((dim, axis) => (dim === 1 ? 0 : index[index.length - x.shape.length + axis]!)));

function binaryCase(fn: Fn, a: Type, b: Type): OpCase {
  const shape = Array.from({ length: Math.max(a.shape.length, b.shape.length) }, (_, i) => {
    const [x, y] = [a.shape.at(-1 - i), b.shape.at(-1 - i)];
    return x === undefined || x === 1 ? (y ?? 1) : x;
  }).reverse();
  const divides = fn === 'idiv' || fn === 'imod' || fn === 'div';
  const operand = (random: Parameters<OpCase['weights']>[0], type: Type, divisor: boolean, T: number) => {
    const dims = sized(type.shape, T);
    if (type.dtype === 'f32')
      return random.f32(dims, () => random.normal() + (divisor ? 4 * Math.sign(random.normal()) : 0));
    return i32Of(dims, () => (divisor ? 1 + random.below(9) : random.below(200) - 100));
  };
  const graph = oneNode('binary', [a, b], (g, values) =>
    g.node('binary', values, { fn: fn as AttrsOf<'binary'>['fn'] }),
  );
  const has = (type: Type) => type.shape.includes('T');
  return stateless('binary', `${fn},${a.dtype},${shapeText(a.shape)},${shapeText(b.shape)}`, graph, {
    weights: (random) => ({
      ...(has(a) ? {} : { x0: operand(random, a, false, 0) }),
      ...(has(b) ? {} : { x1: operand(random, b, divides, 0) }),
    }),
    inputs: (random, T) => ({
      ...(has(a) ? { x0: operand(random, a, false, T) } : {}),
      ...(has(b) ? { x1: operand(random, b, divides, T) } : {}),
    }),
    outputs: ({ x0, x1 }, T) => ({
      y: fill(a.dtype as 'f32' | 'i32', sized(shape, T), (...index) =>
        binaryFormulas[fn as AttrsOf<'binary'>['fn']](stretched(x0!, index), stretched(x1!, index)),
      ),
    }),
  });
}

const binaries = [
  ...(['add', 'sub', 'mul', 'div', 'min', 'max'] as const).map((fn) => binaryCase(fn, f32('T', 17), f32('T', 17))),
  ...(['add', 'sub', 'mul', 'min', 'max', 'idiv', 'imod'] as const).map((fn) =>
    binaryCase(fn, i32('T', 9), i32('T', 9)),
  ),
  binaryCase('add', f32('T', 3, 4), f32(4)),
  binaryCase('mul', f32('T', 3, 1), f32('T', 1, 5)),
  binaryCase('sub', f32(6), f32('T', 6)),
  binaryCase('mul', f32('T', 6), f32()),
  binaryCase('div', f32('T', 2, 3, 5), f32(2, 1, 5)),
  binaryCase('idiv', i32('T', 4), i32()),
  binaryCase('imod', i32('T', 4, 2), i32(4, 1)),
];

const constants = [
  stateless(
    'constant',
    'f32',
    oneNode('constant', [f32('T', 3)], (g, [x]) =>
      g.node('binary', [x!, g.node('constant', [], { value: 0.3, dtype: 'f32' })], { fn: 'mul' }),
    ),
    {
      inputs: (random, T) => ({ x0: random.f32([T, 3]) }),
      outputs: ({ x0 }, T) => ({ y: f32Of([T, 3], (t, i) => at(x0!, t, i) * Math.fround(0.3)) }),
    },
  ),
  stateless(
    'constant',
    'i32',
    oneNode('constant', [i32('T', 3)], (g, [x]) =>
      g.node('binary', [x!, g.node('constant', [], { value: 7, dtype: 'i32' })], { fn: 'imod' }),
    ),
    {
      inputs: (random, T) => ({ x0: random.i32([T, 3], 1000) }),
      outputs: ({ x0 }, T) => ({ y: i32Of([T, 3], (t, i) => at(x0!, t, i) % 7) }),
    },
  ),
];

/** Nearest multiple of 2^(exponent − bits), ties to even, by arithmetic. */
function rounded(x: number, bits: number, least: number): number {
  if (x === 0) return 0;
  const unit = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), least) - bits);
  const [low, rest] = [Math.floor(x / unit), x / unit - Math.floor(x / unit)];
  return (rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low) * unit;
}

const there =
  (dtype: 'f16' | 'bf16') =>
  (g: GraphDraft, [x]: Value[]) =>
    g.node('cast', [g.node('cast', [x!], { dtype })], { dtype: 'f32' });
const castCase = (
  name: string,
  graph: OpCase['graph'],
  make: (random: Parameters<OpCase['weights']>[0], T: number) => Tensor,
  of: (v: number) => number,
  to: 'f32' | 'i32',
) =>
  stateless('cast', name, graph, {
    inputs: (random, T) => ({ x0: make(random, T) }),
    outputs: ({ x0 }, T) => ({ y: fill(to, [T, 40], (t, i) => of(at(x0!, t, i))) }),
    tolerance: 0,
  });

const casts = [
  castCase(
    'bf16',
    oneNode('cast', [f32('T', 40)], there('bf16')),
    (r, T) => r.f32([T, 40]),
    (v) => rounded(v, 7, -126),
    'f32',
  ),
  castCase(
    'f16',
    oneNode('cast', [f32('T', 40)], there('f16')),
    (r, T) => r.f32([T, 40], () => r.normal() * 2 ** (r.below(24) - 20)),
    (v) => rounded(v, 10, -14),
    'f32',
  ),
  castCase(
    'bf16,ties',
    oneNode('cast', [f32('T', 40)], there('bf16')),
    (r, T) => r.f32([T, 40], () => 1 + (2 * r.below(128) + 1) / 256),
    (v) => rounded(v, 7, -126),
    'f32',
  ),
  castCase(
    'i32->f32',
    oneNode('cast', [i32('T', 40)], (g, [x]) => g.node('cast', [x!], { dtype: 'f32' })),
    (r, T) => i32Of([T, 40], () => r.below(1e6) - 5e5),
    (v) => v,
    'f32',
  ),
  castCase(
    'f32->i32',
    oneNode('cast', [f32('T', 40)], (g, [x]) => g.node('cast', [x!], { dtype: 'i32' })),
    (r, T) => r.f32([T, 40], () => 1000 * r.normal()),
    (v) => (v < 0 ? Math.ceil(v) : Math.floor(v)),
    'i32',
  ),
  castCase(
    'i64->i32',
    oneNode('cast', [{ dtype: 'i64', shape: ['T', 40] }], (g, [x]) => g.node('cast', [x!], { dtype: 'i32' })),
    (r, T) => r.i64([T, 40], 1e6),
    (v) => v,
    'i32',
  ),
];

interface Moving {
  name: string;
  op: 'reshape' | 'transpose' | 'slice' | 'concat';
  from: Type[];
  make: (g: GraphDraft, values: Value[]) => Value;
  to: Dim[];
  of: (xs: Tensor[], ...index: number[]) => number;
}

const moves: Moving[] = [
  {
    name: 'split',
    op: 'reshape',
    from: [f32('T', 6)],
    make: (g, x) => g.node('reshape', x, { shape: ['T', 2, 3] }),
    to: ['T', 2, 3],
    of: ([x], t, a, b) => at(x!, t!, 3 * a! + b!),
  },
  {
    name: 'join',
    op: 'reshape',
    from: [f32('T', 2, 3, 4)],
    make: (g, x) => g.node('reshape', x, { shape: ['T', 2, 12] }),
    to: ['T', 2, 12],
    of: ([x], t, a, b) => at(x!, t!, a!, b! >> 2, b! & 3),
  },
  {
    name: 'inner',
    op: 'transpose',
    from: [f32('T', 3, 5)],
    make: (g, x) => g.node('transpose', x, { perm: [0, 2, 1] }),
    to: ['T', 5, 3],
    of: ([x], t, a, b) => at(x!, t!, b!, a!),
  },
  {
    name: 'rotate',
    op: 'transpose',
    from: [f32('T', 2, 3, 4)],
    make: (g, x) => g.node('transpose', x, { perm: [0, 2, 3, 1] }),
    to: ['T', 3, 4, 2],
    of: ([x], t, a, b, c) => at(x!, t!, c!, a!, b!),
  },
  {
    name: 'middle',
    op: 'slice',
    from: [f32('T', 9)],
    make: (g, x) => g.node('slice', x, { axis: 1, start: 2, end: 7 }),
    to: ['T', 5],
    of: ([x], t, a) => at(x!, t!, a! + 2),
  },
  {
    name: 'inner axis',
    op: 'slice',
    from: [f32('T', 2, 3)],
    make: (g, x) => g.node('slice', x, { axis: 1, start: 1, end: 2 }),
    to: ['T', 1, 3],
    of: ([x], t, a, b) => at(x!, t!, a! + 1, b!),
  },
  {
    name: 'i32',
    op: 'slice',
    from: [i32('T', 8)],
    make: (g, x) => g.node('slice', x, { axis: 1, start: 0, end: 3 }),
    to: ['T', 3],
    of: ([x], t, a) => at(x!, t!, a!),
  },
  {
    name: 'three',
    op: 'concat',
    from: [f32('T', 2), f32('T', 1), f32('T', 4)],
    make: (g, x) => g.node('concat', x, { axis: 1 }),
    to: ['T', 7],
    of: (xs, t, a) => (a! < 2 ? at(xs[0]!, t!, a!) : a! < 3 ? at(xs[1]!, t!, 0) : at(xs[2]!, t!, a! - 3)),
  },
  {
    name: 'inner axis',
    op: 'concat',
    from: [f32('T', 1, 3), f32('T', 2, 3)],
    make: (g, x) => g.node('concat', x, { axis: 1 }),
    to: ['T', 3, 3],
    of: (xs, t, a, b) => (a === 0 ? at(xs[0]!, t!, 0, b!) : at(xs[1]!, t!, a! - 1, b!)),
  },
];

const moving = moves.map(({ name, op, from, make, to, of }) =>
  stateless(op, `${name},${from.map((type) => shapeText(type.shape)).join(',')}`, oneNode(op, from, make), {
    inputs: (random, T) =>
      Object.fromEntries(
        from.map((type, i) => [
          `x${i}`,
          type.dtype === 'f32' ? random.f32(sized(type.shape, T)) : random.i32(sized(type.shape, T), 99),
        ]),
      ),
    outputs: (given, T) => ({
      y: fill(from[0]!.dtype as 'f32' | 'i32', sized(to, T), (...index) =>
        of(
          from.map((_, i) => given[`x${i}`]!),
          ...index,
        ),
      ),
    }),
    tolerance: 0,
  }),
);

const reductions = (['sum', 'max', 'mean'] as const).flatMap((fn) =>
  [
    { shape: ['T', 37], axis: 1 },
    { shape: ['T', 3, 5], axis: 1 },
    { shape: ['T', 4, 2, 6], axis: 2 },
  ].map(({ shape, axis }) =>
    stateless(
      'reduce',
      `${fn},${shapeText(shape)},axis=${axis}`,
      oneNode('reduce', [f32(...shape)], (g, x) => g.node('reduce', x, { fn, axis })),
      {
        inputs: (random, T) => ({ x0: random.f32(sized(shape, T)) }),
        outputs: ({ x0 }, T) => {
          const n = shape[axis] as number;
          const out = sized(shape, T).toSpliced(axis, 1);
          return {
            y: f32Of(out, (...index) => {
              const line = Array.from({ length: n }, (_, i) => at(x0!, ...index.toSpliced(axis, 0, i)));
              return fn === 'max' ? Math.max(...line) : line.reduce((a, b) => a + b, 0) / (fn === 'mean' ? n : 1);
            }),
          };
        },
      },
    ),
  ),
);

const softmaxes = [
  { shape: ['T', 13], scale: 1 },
  { shape: ['T', 2, 32], scale: 100 },
  { shape: ['T', 3, 1], scale: 1 },
].map(({ shape, scale }) =>
  stateless(
    'softmax',
    `${shapeText(shape)},scale=${scale}`,
    oneNode('softmax', [f32(...shape)], (g, x) => g.node('softmax', x, {})),
    {
      inputs: (random, T) => ({ x0: random.f32(sized(shape, T), () => scale * random.normal()) }),
      outputs: ({ x0 }, T) => ({
        y: f32Of(sized(shape, T), (...index) => {
          const [lead, i] = [index.slice(0, -1), index.at(-1)!];
          return 1 / sum(shape.at(-1) as number, (j) => Math.exp(at(x0!, ...lead, j) - at(x0!, ...lead, i)));
        }),
      }),
    },
  ),
);

/** Normalised value of an element, from its row. */
function normed(row: (i: number) => number, n: number, i: number, type: 'rms' | 'layer', eps: number): number {
  const mean = type === 'layer' ? sum(n, row) / n : 0;
  return (row(i) - mean) / Math.sqrt(sum(n, (j) => (row(j) - mean) ** 2) / n + eps);
}

const norms = (['rms', 'layer'] as const).flatMap((type) =>
  [
    { shape: ['T', 24], bias: false },
    { shape: ['T', 2, 13], bias: false },
    { shape: ['T', 192], bias: true },
    { shape: ['T', 300], bias: true },
  ].map(({ shape, bias }) => {
    const n = shape.at(-1) as number;
    const g = new GraphDraft('norm');
    const operands = [g.input('x', f32(...shape)), g.weight('w', f32(n)), ...(bias ? [g.weight('b', f32(n))] : [])];
    const graph = g.output('y', g.node('norm', operands, { type, eps: 1e-5 })).build();
    return stateless('norm', `${type},${shapeText(shape)}${bias ? ',bias' : ''}`, graph, {
      weights: (random) => ({ w: random.f32([n]), ...(bias ? { b: random.f32([n]) } : {}) }),
      // Rows of very different size, so that eps matters for some.
      inputs: (random, T) => ({ x: random.f32(sized(shape, T), () => random.normal() * 10 ** (random.below(4) - 3)) }),
      outputs: ({ x, w, b }, T) => ({
        y: f32Of(sized(shape, T), (...index) => {
          const [lead, i] = [index.slice(0, -1), index.at(-1)!];
          return normed((j) => at(x!, ...lead, j), n, i, type, 1e-5) * at(w!, i) + (b ? at(b, i) : 0);
        }),
      }),
    });
  }),
);

const addNorms = (['rms', 'layer'] as const).map((type) => {
  const g = new GraphDraft('add_norm');
  const operands = [g.input('x', f32('T', 48)), g.input('r', f32('T', 48)), g.weight('w', f32(48))];
  const [added, out] = g.all('add_norm', operands, { type, eps: 1e-5 });
  return stateless('add_norm', type, g.output('sum', added!).output('y', out!).build(), {
    weights: (random) => ({ w: random.f32([48]) }),
    inputs: (random, T) => ({ x: random.f32([T, 48]), r: random.f32([T, 48]) }),
    outputs: ({ x, r, w }, T) => {
      const total = f32Of([T, 48], (t, i) => at(x!, t, i) + at(r!, t, i));
      return { sum: total, y: f32Of([T, 48], (t, i) => normed((j) => at(total, t, j), 48, i, type, 1e-5) * at(w!, i)) };
    },
  });
});

const bodies = [
  {
    expr: 'mul(silu(b),a)',
    types: [f32('T', 40), f32('T', 40)],
    of: ([a, b]: number[]) => a! * unaryFormulas.silu(b!),
  },
  {
    expr: 'add(mul(a,b),c)',
    types: [f32('T', 3, 8), f32('T', 3, 1), f32(8)],
    of: ([a, b, c]: number[]) => a! * b! + c!,
  },
  { expr: 'max(sub(a,0.5),neg(a))', types: [f32('T', 5)], of: ([a]: number[]) => Math.max(a! - 0.5, -a!) },
  {
    expr: 'div(gelu(a),sqrt(add(square(b),1)))',
    types: [f32('T', 65), f32(65)],
    of: ([a, b]: number[]) => unaryFormulas.gelu(a!) / Math.hypot(b!, 1),
  },
].map(({ expr, types, of }) =>
  stateless(
    'elementwise',
    expr,
    oneNode('elementwise', types, (g, x) => g.node('elementwise', x, { expr })),
    {
      weights: (random) =>
        Object.fromEntries(
          types.flatMap((type, i) => (type.shape.includes('T') ? [] : [[`x${i}`, random.f32(type.shape as number[])]])),
        ),
      inputs: (random, T) =>
        Object.fromEntries(
          types.flatMap((type, i) => (type.shape.includes('T') ? [[`x${i}`, random.f32(sized(type.shape, T))]] : [])),
        ),
      outputs: (given, T) => ({
        y: f32Of(sized(types[0]!.shape, T), (...index) => of(types.map((_, i) => stretched(given[`x${i}`]!, index)))),
      }),
    },
  ),
);

export const elementCases: readonly OpCase[] = [
  ...constants,
  ...unaries,
  ...binaries,
  ...casts,
  ...moving,
  ...reductions,
  ...softmaxes,
  ...norms,
  ...addNorms,
  ...bodies,
];
