// Weights and inputs for a model that is to be counted or timed, not used: random, the same for the same seed, within all bounds.

import type { Precision, TableType } from '../compile.ts';
import type { Run, StepShape } from '../plan/traffic.ts';
import { FEW_TOKENS } from '../plan/variants.ts';
import { convert } from '../runtime/convert.ts';
import { type DescribedTensor, type ModelDescription, type SymbolValues, sizesOf } from '../runtime/description.ts';
import type { WeightsLike } from '../runtime/index.ts';
import { sessionSymbols } from '../runtime/session.ts';
import { isFloat } from '../support/dtype.ts';
import { optionInvalid, tooManyTokens } from '../support/errors/session.ts';
import { toBf16, toF16 } from '../support/float-bits.ts';
import type { OnProgress } from '../support/progress.ts';
import { elements, type Tensor, tensor } from '../support/tensor.ts';

/** What is measured, be it counted or timed. */
export interface StepsOptions {
  /** Tokens of each step. */
  readonly tokens: readonly number[];
  /** Default: random ones, which choose rows as evenly as can be. How many are read does not depend on them. */
  readonly weights?: WeightsLike | undefined;
  /** Positions that every sequence holds before the step; see randomStep for the default. */
  readonly past?: number | undefined;
  /** How weights, states and values are stored; see CompileOptions. */
  readonly precision?: Precision | undefined;
  readonly tables?: TableType | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** Symbols of a session that is large enough for steps of so many tokens, and of such a step. */
export function symbolsFor(
  model: ModelDescription,
  tokens: number,
): { readonly session: SymbolValues; readonly step: SymbolValues } {
  const session = sessionSymbols(model, { maxSequences: sequencesFor(model, tokens) });
  const step = model.symbols.find(({ scope }) => scope === 'step');
  return { session, step: { ...session, ...(step && { [step.name]: tokens }) } };
}

/** Inputs of one step, and which tokens of which sequences they are. */
export interface RandomStep {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Per sequence; none where steps know no positions. */
  readonly runs: readonly Run[];
}

/**
 * That a model can run steps of so many tokens.
 * @throws UltramemError option-invalid, too-many-tokens
 */
export function requireSteps({ symbols }: Pick<ModelDescription, 'symbols'>, tokens: readonly number[]): void {
  if (tokens.length === 0) throw optionInvalid('tokens', '[]', 'one number or more');
  const { name, bound } = symbols.find(({ scope }) => scope === 'step') ?? { name: 'T', bound: 1 };
  for (const T of tokens) {
    if (!(Number.isInteger(T) && T >= 1)) throw optionInvalid('tokens', T, `an integer from 1 to ${bound}`);
    if (T > bound) throw tooManyTokens(name, T, bound);
  }
}

/** Weights by name. Those of one axis (norms, biases) are 1; others keep the size of what they multiply. */
export function randomWeights(model: ModelDescription, seed: number): Record<string, Tensor> {
  const bounds = Object.fromEntries(model.symbols.map(({ name, bound }) => [name, bound]));
  return Object.fromEntries(
    model.weights.map((weight, i) => {
      const shape = sizesOf(weight.shape, bounds);
      const scale = shape.length < 2 ? 0 : Math.sqrt(3 / shape.at(-1)!);
      return [weight.name, random(weight, shape, bounds, seed * 1000 + i, scale)];
    }),
  );
}

/**
 * Inputs of a step of so many tokens. Positions and sequence of a language model: up to 16 tokens are one each of as many
 * sequences, which hold `past` tokens already (default: half of what they can hold); more are a prompt from position `past`
 * (default 0) on, in as few sequences as can hold it.
 */
export function randomStep(
  model: ModelDescription,
  symbols: SymbolValues,
  tokens: number,
  past: number | undefined,
  seed: number,
): RandomStep {
  const runs = runsOf(model, symbols, tokens, past);
  const places: Readonly<Record<string, readonly number[]>> = {
    positions: runs.flatMap(({ position, tokens }) => Array.from({ length: tokens }, (_, i) => position + i)),
    sequence: runs.flatMap(({ tokens }, s) => new Array<number>(tokens).fill(s)),
  };
  const inputs = model.inputs.map((input, i): [string, Tensor] => {
    const shape = sizesOf(input.shape, symbols);
    const place = runs.length > 0 ? places[input.name] : undefined;
    if (place !== undefined) return [input.name, tensor('i32', shape, Int32Array.from(place))];
    return [input.name, random(input, shape, symbols, seed * 1000 + 500 + i, Math.sqrt(3))];
  });
  return { inputs: Object.fromEntries(inputs), runs };
}

/** What of a model decides where the tokens of its steps stand. */
interface Positioned {
  readonly symbols: ModelDescription['symbols'];
  readonly inputs: readonly Pick<DescribedTensor, 'name' | 'below'>[];
}

/** Sequences that a session needs for steps of so many tokens. */
export function sequencesFor(model: Positioned, tokens: number): number {
  const bound = model.symbols.find(({ scope }) => scope === 'session')?.bound ?? 1;
  const wanted = tokens <= FEW_TOKENS ? tokens : Math.ceil(tokens / (contextOf(model) ?? tokens));
  return Math.max(1, Math.min(bound, wanted));
}

/** Positions that a sequence can hold, where the model says so. */
function contextOf(model: Positioned): number | undefined {
  const below = model.inputs.find(({ name }) => name === 'positions')?.below;
  return typeof below === 'number' ? below : undefined;
}

/** A step of so many tokens as `randomStep` makes one, in a session that is large enough for it. */
export function stepOf(model: Positioned, tokens: number, past?: number): StepShape {
  const session = model.symbols.find(({ scope }) => scope === 'session');
  const symbols = session === undefined ? {} : { [session.name]: sequencesFor(model, tokens) };
  return { tokens, runs: runsOf(model, symbols, tokens, past) };
}

function runsOf(model: Positioned, symbols: SymbolValues, tokens: number, past: number | undefined): Run[] {
  const names = model.inputs.map(({ name }) => name);
  if (!names.includes('positions') || !names.includes('sequence')) return [];
  const session = model.symbols.find(({ scope }) => scope === 'session');
  const sequences = Math.min(sequencesFor(model, tokens), session === undefined ? 1 : symbols[session.name]!);
  const each = Math.ceil(tokens / sequences);
  const context = contextOf(model) ?? each;
  const wanted = past ?? (tokens <= FEW_TOKENS ? Math.floor(context / 2) : 0);
  return Array.from({ length: Math.ceil(tokens / each) }, (_, s) => ({
    position: Math.max(0, Math.min(wanted, context - each)),
    tokens: Math.min(each, tokens - s * each),
  }));
}

/** Uniform in (−scale, scale); 1 where scale is 0. Integers: uniform below their bound. */
function random(
  { dtype, below }: DescribedTensor,
  shape: readonly number[],
  symbols: SymbolValues,
  seed: number,
  scale: number,
): Tensor {
  const next = uniform(seed);
  const count = elements(shape);
  if (isFloat(dtype)) {
    const data = new Float32Array(count);
    for (let i = 0; i < count; i++) data[i] = scale === 0 ? 1 : scale * (2 * next() - 1);
    if (dtype === 'f32') return tensor(dtype, shape, data);
    return tensor(dtype as 'bf16' | 'f16', shape, Uint16Array.from(data, dtype === 'bf16' ? toBf16 : toF16));
  }
  const bound = typeof below === 'string' ? symbols[below]! : (below ?? 1);
  const data = new Int32Array(count);
  for (let i = 0; i < count; i++) data[i] = Math.floor(bound * next());
  return convert(tensor('i32', shape, data), dtype);
}

/** Numbers of [0, 1): xorshift, whose state the seed is mixed into. */
export function uniform(seed: number): () => number {
  let x = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 4294967296;
  };
}

/** Which tokens a step is made of, in words. */
export function describeStep({ tokens, runs }: { readonly tokens: number; readonly runs: readonly Run[] }): string {
  const [first] = runs;
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
  if (first === undefined) return count(tokens, 'token');
  const each = runs.length === 1 ? '' : ' each';
  return `${count(first.tokens, 'token')} of ${count(runs.length, 'sequence')}${each}, from position ${first.position} on`;
}
