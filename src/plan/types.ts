// The plan: every decision between a graph and its source text, as frozen plain data. Codegen only writes it down.

import type { Dim, Loc, Meta, SymbolDim, Type, ValueId, WeightPlacement } from '../ir/graph.ts';
import type { DType } from '../support/dtype.ts';
import type { Kernel, KernelForms } from './launch.ts';

/** Who owns a buffer's memory: the caller, the checkpoint, the session, the loaded model, or one run. */
export type Space =
  | 'input' // handed in at every step
  | 'output' // sized by the runtime for T
  | 'weight' // mapped from the checkpoint
  | 'state' // lives across the steps of a session
  | 'prepared' // written once by prepare and kept
  | 'scratch' // of prepare, freed afterwards
  | 'choices' // how tokens are to be chosen from the logits of a step, handed in with it
  | 'chosen' // those tokens, handed out
  | 'arena'; // of one step

/** A piece of memory. Step buffers hold their tokens outermost, whatever the order of the value's axes. */
export interface Buffer {
  /** A C++ identifier, unique in its schedule. */
  readonly name: string;
  readonly space: Space;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  /** What it holds, for readers: `f32[T,192]`. */
  readonly holds: string;
  /** Input, output, weight, state: index of the descriptor. Else 0. */
  readonly index: number;
  /** Bytes at the largest T of the schedule. */
  readonly bytes: number;
  /** Prepared, scratch, arena: byte offset, a multiple of 64. Else 0. */
  readonly offset: number;
  /** First and last launch that touches it; -1 where no launch of this schedule does. */
  readonly first: number;
  readonly last: number;
}

/**
 * A value as kernels see it: an address in a buffer and a stride per axis, all in elements. Strides are constants, since
 * T is always the outermost axis in memory.
 */
export interface View {
  readonly buffer: string;
  readonly dtype: DType;
  readonly offset: number;
  readonly shape: readonly Dim[];
  readonly strides: readonly number[];
}

/** How often a kernel repeats its row: `factor`, times T where `tokens`. */
export interface Count {
  readonly factor: number;
  readonly tokens: boolean;
}

/** One kernel call. */
export interface Launch<K extends Kernel = Kernel> {
  readonly kernel: K;
  readonly rows: Count;
  readonly constants: KernelForms[K]['constants'];
  readonly reads: Readonly<Record<KernelForms[K]['reads'], View | null>>;
  readonly writes: Readonly<Record<KernelForms[K]['writes'], View>>;
  /** What it computes, for readers: `%q = einsum @x, @w`. */
  readonly computes: string;
  /** The nodes that it computes, be it a part of each, by their first results; none where it only hands out a result. */
  readonly nodes: readonly ValueId[];
  readonly loc: Loc | undefined;
}

/** A launch of any kernel, as a union that narrows by `kernel`. */
export type AnyLaunch = { [K in Kernel]: Launch<K> }[Kernel];

/** Launches in order, and the memory they need. */
export interface Schedule<L = AnyLaunch> {
  readonly launches: readonly L[];
  readonly buffers: readonly Buffer[];
  /** Bytes of its scratch or arena. */
  readonly bytes: number;
}

/** A step specialised to a range of T. */
export interface Variant<L = AnyLaunch> extends Schedule<L> {
  readonly name: 'one' | 'few' | 'many';
  readonly minTokens: number;
  readonly maxTokens: number;
}

/** What chooses tokens from the logits of a step where the caller asks for tokens, whichever variant has run. */
export interface SampleStep<L> extends Schedule<L> {
  readonly name: 'sample';
  /** Of tokens that are chosen. */
  readonly minTokens: number;
  readonly maxTokens: number;
}

/** A tensor that crosses the addon's border. */
export interface PlanTensor {
  readonly name: string;
  readonly id: string;
  readonly type: Type;
  /** Integers: exclusive upper bound of every element; a size or a symbol. */
  readonly below: Dim | undefined;
  /** Weights: zeros stand in when absent. */
  readonly optional: boolean;
  /** Weights: read by the step itself, so kept after prepare. */
  readonly retained: boolean;
  readonly placement: WeightPlacement;
}

/** Bytes by what they are for. */
export interface MemoryEstimate {
  readonly weights: number;
  /** Weights that stay mapped after prepare, but for those in their file. */
  readonly retained: number;
  /** Weights that stay in their file: rows of them come and go. */
  readonly inFile: number;
  readonly prepared: number;
  readonly prepareScratch: number;
  /** Per sequence of the session. */
  readonly statePerSequence: number;
  /** Largest arena of all variants. */
  readonly arena: number;
}

/** One choice and why it was made. */
export interface Decision {
  readonly subject: string;
  readonly choice: string;
  readonly reason: string;
}

export interface PlanFor<Target extends string, L> {
  readonly name: string;
  readonly target: Target;
  readonly meta: Meta;
  readonly symbols: readonly SymbolDim[];
  readonly inputs: readonly PlanTensor[];
  readonly outputs: readonly PlanTensor[];
  readonly weights: readonly PlanTensor[];
  readonly states: readonly PlanTensor[];
  /** Its buffers in space `prepared` are the ones that stay. */
  readonly prepare: Schedule;
  readonly preparedBytes: number;
  /** Ascending by maxTokens. */
  readonly variants: readonly Variant<L>[];
  /** Undefined where logits leave the target, or there are none. */
  readonly sample: SampleStep<L> | undefined;
  readonly memory: MemoryEstimate;
  readonly decisions: readonly Decision[];
}
