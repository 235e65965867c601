// What the page's script works on: one JSON value in the page. Lists refer to each other by place, so that nothing is said twice.

/** Bytes that a kernel moves, by what they are. */
export const byteClasses = [
  'weights',
  'chosen rows',
  'states',
  'inputs and outputs',
  'values between kernels',
] as const;

/** What a kernel's products run on, as far as machines have a rate of their own for it. */
export const arithmetics = ['f32', 'bf16', 'i8'] as const;
export type Arithmetic = (typeof arithmetics)[number];

/** A node as the model was written. */
export interface OpData {
  /** In the text of the graph, without its place. */
  readonly text: string;
  readonly op: string;
  /** Places in `places` of the calls that led to it, from the inside out. */
  readonly calls: readonly number[];
  /** What became of it where no kernel computes it. */
  readonly otherwise: string;
}

export interface OperandData {
  readonly name: string;
  readonly access: 'reads' | 'writes' | 'updates';
  /** Name of the input, weight, state or output it is, else of its buffer. */
  readonly of: string;
  readonly space: string;
  readonly holds: string;
}

/** One launch. */
export interface KernelData {
  readonly kernel: string;
  /** Place in `families`. */
  readonly family: number;
  readonly computes: string;
  /** How often it repeats its row: `T*2`. */
  readonly rows: string;
  /** Places in `ops` of the nodes it computes, alone or with others. */
  readonly ops: readonly number[];
  /** Passes that made what it computes. */
  readonly passes: readonly string[];
  /** What fusion spared, as `inspect --stage fusion` says it. */
  readonly notes: readonly string[];
  readonly operands: readonly OperandData[];
  /** Places in `excerpts`. */
  readonly excerpts: readonly number[];
  /** Place in `headers`, and the line of the function there; 0 where it is not known. */
  readonly header: number;
  readonly headerLine: number;
  readonly calls: string;
  readonly arithmetic: Arithmetic;
}

/**
 * A run of kernels that repeats: `count` times `period` kernels from `start` on, all alike but for what they point to. Its first block
 * may hold smaller ones.
 */
export interface Repeat {
  readonly start: number;
  readonly period: number;
  readonly count: number;
}

export interface StepData {
  readonly name: string;
  readonly minTokens: number;
  readonly maxTokens: number;
  readonly arena: number;
  readonly kernels: readonly KernelData[];
  readonly repeats: readonly Repeat[];
}

/** A number of tokens to count for. */
export interface TokensData {
  readonly tokens: number;
  /** Which tokens those are, in words. */
  readonly holds: string;
  /** Place in `steps`. */
  readonly step: number;
  /** Per kernel of the step: bytes by class, then operations. */
  readonly figures: readonly (readonly number[])[];
  /** Of the graph as it is written, op by op, where kernels can run it so. */
  readonly written?: { readonly bytes: number; readonly flops: number } | undefined;
}

/** A machine as a roofline: bytes and operations per second. */
export interface Machine {
  readonly name: string;
  readonly kind: 'cpu' | 'device';
  /** Where the figures come from. */
  readonly source: string;
  readonly bandwidth: number;
  readonly rates: Readonly<Record<Arithmetic, number>>;
}

export interface ExcerptData {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export interface HeaderData {
  readonly path: string;
  /** The comment that it opens with. */
  readonly about: string;
  readonly text: string;
}

/** Lines of a file of the model, or of a preset. */
export interface SourceData {
  readonly file: string;
  readonly preset: boolean;
  /** Where only some lines are needed; in order, without overlap. Empty where the file could not be read. */
  readonly ranges: readonly { readonly line: number; readonly lines: readonly string[] }[];
}

/** A call: place in `sources`, line, column. */
export type PlaceData = readonly [source: number, line: number, column: number];

export interface PageData {
  readonly model: string;
  readonly target: 'cpu' | 'cuda' | 'simt';
  readonly families: readonly string[];
  readonly byteClasses: readonly string[];
  readonly ops: readonly OpData[];
  readonly prepare: readonly KernelData[];
  readonly steps: readonly StepData[];
  readonly tokens: readonly TokensData[];
  readonly machines: readonly Machine[];
  readonly excerpts: readonly ExcerptData[];
  readonly headers: readonly HeaderData[];
  readonly sources: readonly SourceData[];
  readonly places: readonly PlaceData[];
}
