// The three decoders of the paper's 151M set: of equal computation, two of them of equal parameters (UltraMem §4).

import { type Model, model } from 'ultramem';
import { type DecoderOptions, decoder, parsePlacement, ultramemV1 } from 'ultramem/models';

type Context = Parameters<Model['define']>[0];

/** What the three have in common, and what each has of its own. Letters in brackets are those of UltraMem §1 and §4. */
export interface Shapes {
  /** Before the models' names. */
  readonly name: string;
  /** Width [D] and blocks [L]; the dense feed-forward part is 4·D wide, with GELU. */
  readonly width: number;
  readonly layers: number;
  /** Attention heads. */
  readonly heads: number;
  /** Ids, and so rows of the embedding, which the logits use too. */
  readonly vocab: number;
  /** Experts of two matrices [I,D] and [D,I] in every block; a token goes to `kept`. */
  readonly moe: { readonly experts: number; readonly kept: number; readonly inner: number };
  readonly memory: {
    /** `i:j/i:j/…`, 0-based. */
    readonly placement: string;
    /** [n], [Dk], [Dv] and rows kept per head [m]. */
    readonly knum: number;
    readonly kdim: number;
    readonly vdim: number;
    readonly knn: number;
    /** [H], [r], [h] and [E]. */
    readonly heads: number;
    readonly rank: number;
    readonly cores: number;
    readonly expansion: number;
  };
}

/**
 * 0.151 B, 2.04 B and 2.03 B weights without embeddings; 0.30, 0.35 and 0.35 GFLOP a token. What the paper does not print is chosen so that
 * these come out: I = 2.47·D, Dk = D/4, and m, which computation hardly depends on, as of the 1.6B model. Memories skip as far as there,
 * by the number of blocks. The vocabulary is small, so that the product of the logits is (2 MB, 2 MFLOP a token).
 */
export const shapes151m: Shapes = {
  name: 'headline',
  ...{ width: 1024, layers: 12, heads: 16, vocab: 1024 },
  moe: { experts: 32, kept: 2, inner: 2528 },
  memory: {
    placement: '2:4/5:7/8:10',
    ...{ knum: 1100, kdim: 256, vdim: 512, knn: 42, heads: 2, rank: 2, cores: 2, expansion: 4 },
  },
};

export const kinds = ['dense', 'moe', 'ultramem'] as const;
export type Kind = (typeof kinds)[number];

/** As tables and plots call them. */
export const titles: Readonly<Record<Kind, string>> = { dense: 'dense', moe: 'MoE', ultramem: 'UltraMem' };

/** Tokens of a prompt that go through in one step. */
const PROMPT = 256;

/**
 * The decoder of a kind for up to `batch` sequences of up to `context` tokens. What tokens choose, experts [T,K] of a
 * block and slots [T,R] of a memory, comes out as further outputs, by the names of the taps with _ for dots: kernels write both anyway.
 */
export function headlineModel(shapes: Shapes, kind: Kind, context: number, batch: number): Model {
  const { width, layers, heads, vocab, moe, memory } = shapes;
  const options: DecoderOptions = {
    ...{ vocab, width, layers, heads, context, maxTokens: Math.max(batch, PROMPT), maxSequences: batch },
    feedForward: kind === 'moe' ? { kind: 'moe', activation: 'gelu', ...moe } : { kind: 'gelu', rows: 4 * width },
    ...(kind === 'ultramem' && {
      memories: parsePlacement(memory.placement, layers),
      memory: (m) => (x, names) => ultramemV1(m, x, { ...memory, ...names, width }),
    }),
  };
  return model(`${shapes.name}-${kind}-${context}-${batch}`, (m) => decoder(choicesOut(m), options));
}

const choicesOut = (m: Context): Context => ({
  ...m,
  tap(name, value) {
    const [, of, what] = /^mid\.(block\d+|mem\d+)\.(experts|shuffled_index)$/.exec(name) ?? [];
    if (what !== undefined) m.output(`${of}_${what === 'experts' ? 'experts' : 'slots'}`, value);
    return m.tap(name, value);
  },
});

/** Weights without embeddings. */
export function weightCount({ width: D, layers: L, moe, memory }: Shapes, kind: Kind): number {
  const attention = 4 * D * D * L;
  if (kind === 'moe') return attention + L * (moe.experts * 2 * D * moe.inner + moe.experts * D);
  const dense = attention + 8 * D * D * L;
  if (kind === 'dense') return dense;
  const { knum, kdim, vdim, heads, rank, expansion } = memory;
  const keys = heads * 2 * Math.sqrt(expansion) * knum * kdim * rank;
  return dense + memory.placement.split('/').length * (knum ** 2 * vdim + keys + 2 * kdim * D + expansion * vdim * D);
}

/** Multiplications and additions of a token in products of weights and scores, as the paper counts them: without attention's own and the logits. */
export function tokenFlops({ width: D, layers: L, moe, memory }: Shapes, kind: Kind): number {
  const attention = 4 * D * D * L;
  if (kind === 'moe') return 2 * (attention + L * (moe.kept * 2 * D * moe.inner + moe.experts * D));
  const dense = attention + 8 * D * D * L;
  if (kind === 'dense') return 2 * dense;
  const { knum, kdim, vdim, heads, rank, expansion, knn } = memory;
  const scores = heads * 2 * Math.sqrt(expansion) * knum * kdim * rank;
  const each = scores + 2 * kdim * D + heads * knn * vdim + expansion * vdim * D;
  return 2 * (dense + memory.placement.split('/').length * each);
}
