// A decoder-only language model with memories beside its blocks.

import { add, embedding, type F32, linear, type ModelContext, rmsNorm } from '../dsl/index.ts';
import { type BlockOptions, decoderBlock } from './dense.ts';
import type { Placement } from './placement.ts';

export interface DecoderOptions extends Omit<BlockOptions, 'prefix' | 'taps' | 'states'> {
  /** Feed-forward parts of single blocks, by their number, in place of `feedForward`. */
  readonly feedForwardOf?: Readonly<Record<number, BlockOptions['feedForward']>>;
  /** Ids lie below this. */
  readonly vocab: number;
  /** Rows of the embedding, at least `vocab`; default `vocab`. Logits are this wide. */
  readonly embeddingRows?: number;
  /** Decoder blocks [L]. */
  readonly layers: number;
  /** Whether logits use the embedding's weight (default) or `ff_out.weight` of their own. */
  readonly tied?: boolean;
  /** Where memories read and add; default none. */
  readonly memories?: readonly Placement[];
  /** What builds the memories. Called once, with the names' prefix, to declare what they share. */
  readonly memory?: (m: ModelContext, prefix: string) => MemoryLayer;
  /** Most tokens of one step; default 512. */
  readonly maxTokens?: number;
  /** Most sequences of one session; default 64. */
  readonly maxSequences?: number;
  /** Put before every weight's name; default `transformer.`. */
  readonly prefix?: string;
}

/** Builds memory n on the normed feed-forward input of its block, f32[T,D] → f32[T,D]. */
export type MemoryLayer = (x: F32, names: MemoryNames) => F32;

/** Names that belong to a memory. */
export interface MemoryNames {
  /** Which memory, in the order they read. */
  readonly n: number;
  /** Before its weights' names, as `transformer.mem_blocks.0.`. */
  readonly prefix: string;
  /** Before its taps' names, as `mid.mem0.`. */
  readonly taps: string;
}

/**
 * A pre-norm decoder: inputs ids, positions and sequence, i32[T] each; output `logits` f32[T,V].
 *
 * Memories follow the reference, which keeps one pending output: a memory that reads while an earlier output still waits
 * to be added replaces it, and the earlier one is lost (UltraMem §1, placement). Its weights stay declared, for the
 * checkpoint has them; its computation is dead code. To add every output instead, write the loop with `decoderBlock`.
 */
export function decoder(m: ModelContext, options: DecoderOptions): void {
  const { vocab, width, layers, context, eps = 1e-5, prefix = 'transformer.', tied = true } = options;
  const { feedForward, feedForwardOf = {} } = options;
  const { maxTokens = 512, maxSequences = 64, embeddingRows = vocab, memories = [], memory } = options;
  const tokens = m.tokens({ vocab, context, maxTokens, maxSequences });
  const table = m.weight(`${prefix}wte.weight`, [embeddingRows, width]);
  let x = m.tap('mid.wte', embedding(table, tokens.ids));
  const layer = memories.length > 0 ? memory?.(m, prefix) : undefined;
  let pending: { output: F32; add: number } | undefined;
  for (let i = 0; i < layers; i++) {
    const names = { prefix: `${prefix}blocks.${i}.`, taps: `mid.block${i}.`, states: `block${i}` };
    const { out, feedForwardInput } = decoderBlock(m, x, tokens, {
      ...options,
      feedForward: feedForwardOf[i] ?? feedForward,
      ...names,
    });
    x = out;
    const n = memories.findIndex(({ read }) => read === i);
    const place = memories[n];
    if (place !== undefined && layer !== undefined) {
      const of = { n, prefix: `${prefix}mem_blocks.${n}.`, taps: `mid.mem${n}.` };
      m.tap(`${of.taps}in`, feedForwardInput);
      pending = { output: m.tap(`${of.taps}out`, layer(feedForwardInput, of)), add: place.add };
    }
    if (pending?.add === i) {
      x = add(x, pending.output);
      pending = undefined;
    }
  }
  const last = m.tap('mid.ln_f', rmsNorm(x, m.weight(`${prefix}ln_f.weight`, [width]), { eps }));
  m.output('logits', linear(last, tied ? table : m.weight(`${prefix}ff_out.weight`, [embeddingRows, width])));
}
