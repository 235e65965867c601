// Functions of one and two numbers, in f64; callers round the result to f32. Shared by unary, binary and elementwise.

/** The error function: by its series below 3 and a continued fraction above, to f64 rounding. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (z > 6) return Math.sign(x);
  if (z < 3) {
    // erf z = 2/√π · e^{−z²} · Σ 2^i z^{2i+1} / (2i+1)!!  (all terms positive, so no cancellation)
    let term = z;
    let sum = z;
    for (let i = 1; term > sum * 1e-17; i++) sum += term *= (2 * z * z) / (2 * i + 1);
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z) * sum;
  }
  // erfc z = e^{−z²}/√π · 1/(z + (1/2)/(z + (2/2)/(z + …)))
  let tail = z;
  for (let i = 60; i >= 1; i--) tail = z + i / 2 / tail;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * tail));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const unaryFunctions = {
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  square: (x) => x * x,
  abs: Math.abs,
  relu: (x) => Math.max(x, 0),
  sigmoid,
  silu: (x) => x * sigmoid(x),
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  tanh: Math.tanh,
} as const satisfies Record<string, (x: number) => number>;

/** `min` and `max` keep their first operand unless the second is strictly beyond it, as std::min and std::max do. */
export const binaryFunctions = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  // biome-ignore lint/complexity/useMathMinMax: Math.min differs for NaN
  min: (a, b) => (b < a ? b : a),
  // biome-ignore lint/complexity/useMathMinMax: Math.max differs for NaN
  max: (a, b) => (a < b ? b : a),
} as const satisfies Record<string, (a: number, b: number) => number>;

/** Functions of i32 alone: quotient rounded down and its remainder; the divisor is positive. */
export const integerFunctions = {
  idiv: (a, b) => Math.floor(a / b),
  imod: (a, b) => a - Math.floor(a / b) * b,
} as const satisfies Record<string, (a: number, b: number) => number>;

export type UnaryName = keyof typeof unaryFunctions;
export type BinaryName = keyof typeof binaryFunctions;
export type IntegerName = keyof typeof integerFunctions;

export const unaryNames = Object.keys(unaryFunctions) as UnaryName[];
export const binaryNames = Object.keys(binaryFunctions) as BinaryName[];
export const integerNames = Object.keys(integerFunctions) as IntegerName[];
