// The words that declare: symbols, inputs, weights, states, outputs and taps. They are methods of the `m` a definition gets.

import { type Dim, placements, type WeightPlacement } from '../ir/graph.ts';
import { type DType, dtypes } from '../support/dtype.ts';
import { didYouMean } from '../support/suggest.ts';
import { type F32, type I32, isTensor, type State, type Tensor } from './tensor.ts';
import type { Trace } from './trace.ts';

export interface SymbolOptions {
  /** Largest value, inclusive. Default 512 for per-step symbols, 64 for per-session ones. */
  readonly bound?: number;
  /** `step`: may differ per step, as T; `session`: fixed when weights load, as S. Default `step`, but `session` for S. */
  readonly scope?: 'step' | 'session';
}

export interface TokensOptions {
  /** Ids lie below this. */
  readonly vocab: number;
  /** Positions lie below this: the longest sequence. */
  readonly context: number;
  /** Most tokens of one step; default 512. */
  readonly maxTokens?: number;
  /** Most sequences of one session; default 64. */
  readonly maxSequences?: number;
}

export interface Tokens {
  /** i32[T], token ids. */
  readonly ids: I32;
  /** i32[T], place of each token in its sequence. */
  readonly positions: I32;
  /** i32[T], which of the session's S sequences each token belongs to. */
  readonly sequence: I32;
}

export interface InputOptions<D extends DType> {
  /** Default f32. */
  readonly dtype?: D;
  /** Integer inputs: exclusive upper bound of every element, checked before a step; the lower one is 0. */
  readonly below?: Dim;
}

export interface WeightOptions<D extends DType> {
  /** Element type that the graph sees; a checkpoint's own is converted when it loads. Default f32. */
  readonly dtype?: D;
  /** Zeros stand in when the checkpoint lacks it. Default false. */
  readonly optional?: boolean;
  /** Index tables: exclusive upper bound of every element, checked at load; the lower one is 0. */
  readonly below?: number;
  /**
   * `file`: a table whose rows are gathered and stay in the checkpoint's file, mapped: it is never read as a whole, copied or
   * converted, and may be larger than memory. The checkpoint must store it as the compiled model does (`--precision bf16` for
   * a table of bf16). On a device its rows lie in pinned memory of the host. Default `memory`.
   */
  readonly placement?: WeightPlacement;
}

/** What a definition declares on. */
export interface ModelContext {
  /**
   * A symbolic dim: T (tokens of a step) and S (sequences of a session) are the usual ones. Returns its name, for shapes.
   * Declared again without options it is the same symbol.
   */
  symbol(name: string, options?: SymbolOptions): string;
  /** The inputs of a language model, named ids, positions and sequence; declares T and S. */
  tokens(options: TokensOptions): Tokens;
  /** A tensor handed in at every step. */
  input<D extends DType = 'f32'>(name: string, shape: readonly Dim[], options?: InputOptions<D>): Tensor<D>;
  /** A tensor of the checkpoint, by its name there; constant while loaded. */
  weight<D extends DType = 'f32'>(name: string, shape: readonly number[], options?: WeightOptions<D>): Tensor<D>;
  /** A tensor f32[shape] that lives across steps, zero at first; exactly one word reads and updates it. */
  state(name: string, shape: readonly Dim[]): State;
  /** Makes a value a result of the model. */
  output(name: string, value: Tensor): void;
  /** Names a value for verification; it costs nothing unless asked for. Returns the value, so it can stand in an expression. */
  tap<D extends DType>(name: string, value: Tensor<D>): Tensor<D>;
  /** Reports a fault at the user's call, for presets that check their options; the stand-in it returns fits everywhere. */
  refuse(message: string, facts?: { readonly got?: string; readonly wanted?: string; readonly hint?: string }): F32;
}

/** The declaring words of a trace. Faults are collected in it. */
export function declare(trace: Trace): ModelContext {
  const symbol = (name: string, options: SymbolOptions = {}): string => {
    checkOptions(trace, 'm.symbol', options, ['bound', 'scope']);
    const scope = options.scope ?? (name === 'S' ? 'session' : 'step');
    const bound = options.bound ?? (scope === 'step' ? 512 : 64);
    const before = trace.symbols.get(name);
    if (before !== undefined && Object.keys(options).length === 0) return name;
    if (!/^[A-Z]\w*$/.test(name)) {
      const hint = 'T for the tokens of a step, S for the sequences of a session';
      trace.report({
        code: 'bad-symbol',
        message: 'a symbol is a name that starts with a capital',
        got: JSON.stringify(name),
        hint,
      });
    } else if (!Number.isSafeInteger(bound) || bound < 1) {
      trace.report({
        code: 'bad-symbol',
        message: `the bound of ${name}`,
        got: String(bound),
        wanted: 'an integer of at least 1',
      });
    } else if (before !== undefined && (before.bound !== bound || before.scope !== scope)) {
      const got = `bound ${bound} per ${scope}`;
      const wanted = `bound ${before.bound} per ${before.scope}, as declared before`;
      trace.report({
        code: 'bad-symbol',
        message: `symbol ${name} is declared twice with different facts`,
        got,
        wanted,
      });
    } else {
      trace.symbols.set(name, { name, bound, scope });
    }
    return name;
  };

  const input = <D extends DType = 'f32'>(
    name: string,
    shape: readonly Dim[],
    options: InputOptions<D> = {},
  ): Tensor<D> => {
    checkOptions(trace, 'm.input', options, ['dtype', 'below']);
    const dtype = (options.dtype ?? 'f32') as D;
    const good = [
      checkName(trace, 'input', name, /^[A-Za-z_]\w*$/, 'letters, digits and _, as in TypeScript'),
      checkDtype(trace, dtype),
      checkShape(trace, `input "${name}"`, shape, true),
      checkBelow(trace, `input "${name}"`, dtype, options.below),
    ].every(Boolean);
    if (!good) return trace.poison(dtype) as Tensor<D>;
    return trace.input(name, { dtype, shape }, options.below) as Tensor<D>;
  };

  return {
    symbol,
    tokens(options) {
      checkOptions(trace, 'm.tokens', options, ['vocab', 'context', 'maxTokens', 'maxSequences']);
      const { vocab, context, maxTokens = 512, maxSequences = 64 } = options;
      const T = symbol('T', { bound: maxTokens, scope: 'step' });
      const S = symbol('S', { bound: maxSequences, scope: 'session' });
      return {
        ids: input('ids', [T], { dtype: 'i32', below: vocab }),
        positions: input('positions', [T], { dtype: 'i32', below: context }),
        sequence: input('sequence', [T], { dtype: 'i32', below: S }),
      };
    },
    input,
    weight<D extends DType = 'f32'>(name: string, shape: readonly number[], options: WeightOptions<D> = {}): Tensor<D> {
      checkOptions(trace, 'm.weight', options, ['dtype', 'optional', 'below', 'placement']);
      const { optional = false, below, placement = 'memory' } = options;
      const dtype = (options.dtype ?? 'f32') as D;
      const good = [
        checkName(trace, 'weight', name, /^[^\s"\\]+$/, 'its name in the checkpoint, without spaces and quotes'),
        checkDtype(trace, dtype),
        checkShape(trace, `weight "${name}"`, shape, false),
        checkBelow(trace, `weight "${name}"`, dtype, below),
        checkPlacement(trace, name, placement, below),
      ].every(Boolean);
      if (!good) return trace.poison(dtype) as Tensor<D>;
      return trace.weight(name, { dtype, shape }, { optional, below, placement }) as Tensor<D>;
    },
    state(name, shape) {
      const good = [
        checkName(trace, 'state', name, /^[A-Za-z_][\w.]*$/, 'letters, digits, _ and .'),
        checkShape(trace, `state "${name}"`, shape, true),
      ].every(Boolean);
      return good ? trace.state(name, shape) : trace.poisonedState();
    },
    output(name, value) {
      const good = checkName(trace, 'output', name, /^[A-Za-z_]\w*$/, 'letters, digits and _, as in TypeScript');
      if (good && checkOwn(trace, 'm.output', value)) trace.output(name, value);
    },
    tap(name, value) {
      const good = checkName(trace, 'tap', name, /^[\w.]+$/, 'letters, digits, _ and .');
      if (good && checkOwn(trace, 'm.tap', value)) trace.tap(name, value);
      return value;
    },
    refuse(message, facts = {}) {
      trace.report({ code: 'bad-option', message, ...facts });
      return trace.poison('f32') as F32;
    },
  };
}

/** Reports keys of an options object that the word does not know; for users without a type checker. */
export function checkOptions(trace: Trace, word: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const hint = `${word} takes ${known.join(', ')}.${didYouMean(key, known)}`;
    trace.report({ code: 'unknown-option', message: `${word} has no option "${key}"`, hint });
  }
}

/** Reports an element type that does not exist. */
export function checkDtype(trace: Trace, dtype: unknown): boolean {
  if ((dtypes as readonly unknown[]).includes(dtype)) return true;
  const hint = `Element types are ${dtypes.join(', ')}.${didYouMean(String(dtype), dtypes)}`;
  trace.report({ code: 'unknown-dtype', message: `no element type is called ${JSON.stringify(dtype)}`, hint });
  return false;
}

/** Reports what is no tensor of the model being traced. */
export function checkOwn(trace: Trace, word: string, value: Tensor): boolean {
  if (!isTensor(value)) {
    const got = value === null ? 'null' : typeof value === 'object' ? 'an object' : String(value);
    trace.report({ code: 'not-a-tensor', message: `${word} takes a tensor`, got });
    return false;
  }
  if (trace.owns(value)) return true;
  const hint = 'declare and compute everything inside the one definition';
  trace.report({ code: 'foreign-tensor', message: `${word}: the tensor belongs to another model`, hint });
  return false;
}

function checkName(trace: Trace, what: string, name: unknown, form: RegExp, wanted: string): boolean {
  if (typeof name === 'string' && form.test(name)) return true;
  trace.report({ code: 'bad-name', message: `bad name of ${what}`, got: JSON.stringify(name) ?? String(name), wanted });
  return false;
}

function checkShape(trace: Trace, what: string, shape: readonly Dim[], symbolsToo: boolean): boolean {
  const known = [...trace.symbols.keys()];
  if (!Array.isArray(shape)) {
    trace.report({ code: 'bad-shape', message: `${what} has no shape`, got: String(shape), wanted: 'a list of sizes' });
    return false;
  }
  for (const dim of shape as readonly Dim[]) {
    if (typeof dim === 'number' && Number.isSafeInteger(dim) && dim > 0) continue;
    if (typeof dim !== 'string' || !symbolsToo) {
      const wanted = `sizes of at least 1${symbolsToo ? ' and symbols' : ''}`;
      trace.report({ code: 'bad-shape', message: `${what} has a bad shape`, got: `[${shape.join(',')}]`, wanted });
      return false;
    }
    if (known.includes(dim)) continue;
    const hint = `Declare it with m.symbol('${dim}') first.${didYouMean(dim, known)}`;
    trace.report({
      code: 'unknown-symbol',
      message: `${what} has a dim "${dim}" that is no symbol of the model`,
      hint,
    });
    return false;
  }
  return true;
}

function checkPlacement(trace: Trace, name: string, placement: WeightPlacement, below: number | undefined): boolean {
  if (!placements.includes(placement)) {
    const wanted = placements.join(' or ');
    trace.report({
      code: 'bad-option',
      message: `weight "${name}" has no such placement`,
      got: JSON.stringify(placement),
      wanted,
    });
    return false;
  }
  if (placement === 'memory' || below === undefined) return true;
  const hint = 'Leave below out where the table is no table of indices, else the placement.';
  const message = `weight "${name}" stays in its file, so its elements are not checked at load`;
  trace.report({ code: 'bad-option', message, got: `below ${below}`, hint });
  return false;
}

function checkBelow(trace: Trace, what: string, dtype: DType, below: Dim | undefined): boolean {
  const integer: DType[] = ['i32', 'i64'];
  const sound = typeof below === 'number' ? Number.isSafeInteger(below) && below > 0 : trace.symbols.has(below ?? '');
  if (below === undefined || (sound && integer.includes(dtype))) return true;
  const got = sound ? `a bound on ${dtype}` : `below ${below}`;
  const wanted = sound ? 'integers, which are used as indices' : 'an integer of at least 1, or a symbol of the model';
  trace.report({ code: 'bad-bound', message: `${what} has a bad bound`, got, wanted });
  return false;
}
