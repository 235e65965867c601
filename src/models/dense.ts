// A decoder block: attention, then a feed-forward part, both behind an RMSNorm, as the reference's sequential block.

import {
  add,
  attention,
  type F32,
  gelu,
  linear,
  type ModelContext,
  mul,
  reshape,
  rmsNorm,
  rope,
  silu,
  split,
  type Tokens,
} from '../dsl/index.ts';
import { type ExpertOptions, moe } from './moe.ts';

/** `rows`: of `ff_proj.weight`. SwiGLU halves them into value and gate; GELU keeps them. */
export interface DenseFeedForward {
  readonly kind: 'swiglu' | 'gelu';
  readonly rows: number;
}

/** A mixture of experts in its place; weights as `moe` names them. */
export interface MoeFeedForward extends ExpertOptions {
  readonly kind: 'moe';
}

/** A layer of one's own in its place, such as `pkm` or `peer`: x f32[T,D] → f32[T,D]. */
export interface OwnFeedForward {
  readonly kind: 'own';
  /** `prefix` and `taps` end with `ff.`, as `transformer.blocks.0.ff.`. */
  readonly layer: (m: ModelContext, x: F32, names: { readonly prefix: string; readonly taps: string }) => F32;
}

export interface BlockOptions {
  /** Width of the residual stream [D]. */
  readonly width: number;
  /** Query heads; they divide the width. */
  readonly heads: number;
  /** Key and value heads, a divisor of `heads`; default as many. */
  readonly kvHeads?: number;
  /** Longest sequence: size of the key-value cache. */
  readonly context: number;
  readonly feedForward: DenseFeedForward | MoeFeedForward | OwnFeedForward;
  /** Whether every head's query and key are normed before rope; default true. */
  readonly queryKeyNorm?: boolean;
  /** Of all norms; default 1e-5. */
  readonly eps?: number;
  /** Base of rope's frequencies; default 10000. */
  readonly theta?: number;
  /** Put before every weight's name, as `transformer.blocks.0.`. */
  readonly prefix: string;
  /** Put before every tap's name, as `mid.block0.`. */
  readonly taps: string;
  /** Name of the block in its states, as `block0`. */
  readonly states: string;
}

/** The residual stream after a block, and the normed feed-forward input, which a memory layer reads. Both f32[T,D]. */
export interface BlockResult {
  readonly out: F32;
  readonly feedForwardInput: F32;
}

/**
 * One pre-norm decoder block, x f32[T,D] → the residual stream and what memories read. No biases (UltraMem §4; reference block).
 * Weights: `attn_norm.weight`, `att_proj.weight` (rows: queries, keys, values), `q_norm.weight`, `k_norm.weight`, `attn_out.weight`,
 * `ff_norm.weight`, `ff_proj.weight`, `ff_out.weight`, or in place of the last two those of `moe`. States: f32[S,context,kvHeads,hd] twice.
 */
export function decoderBlock(m: ModelContext, x: F32, tokens: Tokens, options: BlockOptions): BlockResult {
  const { width, heads, prefix, taps, eps = 1e-5 } = options;
  const { kvHeads = heads } = options;
  const hd = width / heads;
  if (!Number.isSafeInteger(hd) || hd % 2 !== 0) {
    const stop = m.refuse(`decoderBlock: ${heads} heads of width ${width}`, {
      wanted: 'heads that divide the width into even parts',
    });
    return { out: stop, feedForwardInput: stop };
  }
  if (!Number.isSafeInteger(heads / kvHeads)) {
    const stop = m.refuse(`decoderBlock: ${kvHeads} key heads do not divide ${heads} query heads`);
    return { out: stop, feedForwardInput: stop };
  }
  m.tap(`${taps}in`, x);
  const normed = m.tap(`${taps}attn_norm`, rmsNorm(x, m.weight(`${prefix}attn_norm.weight`, [width]), { eps }));
  const mixed = m.tap(`${taps}attn_out`, selfAttention(m, normed, tokens, { ...options, kvHeads, hd }));
  const middle = add(x, mixed);
  const feedForwardInput = m.tap(
    `${taps}ff_norm`,
    rmsNorm(middle, m.weight(`${prefix}ff_norm.weight`, [width]), { eps }),
  );
  const out = m.tap(`${taps}out`, add(middle, feedForward(m, feedForwardInput, options)));
  return { out, feedForwardInput };
}

/** Attention over each token's own sequence: f32[T,D] → f32[T,D]. Queries and keys are normed per head, then rotated. */
function selfAttention(
  m: ModelContext,
  x: F32,
  { positions, sequence }: Tokens,
  { width, heads, kvHeads, hd, context, prefix, taps, states, ...rest }: BlockOptions & { kvHeads: number; hd: number },
): F32 {
  const { queryKeyNorm = true, eps = 1e-5, theta = 10000 } = rest;
  const T = x.shape[0] ?? 1;
  const kvWidth = kvHeads * hd;
  const weight = m.weight(`${prefix}att_proj.weight`, [width + 2 * kvWidth, width]);
  const projected = m.tap(`${taps}att_proj`, linear(x, weight));
  const [q, k, v] = split(projected, [width, kvWidth, kvWidth]);
  const rotated = (side: 'q' | 'k', part: F32, count: number): F32 => {
    const perHead = reshape(part, [T, count, hd]);
    const normed = queryKeyNorm
      ? m.tap(`${taps}${side}_norm`, rmsNorm(perHead, m.weight(`${prefix}${side}_norm.weight`, [hd]), { eps }))
      : perHead;
    return m.tap(`${taps}${side}_rope`, rope(normed, positions, { theta, layout: 'half' }));
  };
  const cache = (what: string) => m.state(`${states}.${what}`, [m.symbol('S'), context, kvHeads, hd]);
  const attended = attention(rotated('q', q, heads), rotated('k', k, kvHeads), reshape(v, [T, kvHeads, hd]), {
    positions,
    sequence,
    keys: cache('keys'),
    values: cache('values'),
  });
  return linear(reshape(attended, [T, width]), m.weight(`${prefix}attn_out.weight`, [width, width]));
}

/** SwiGLU (first half of the projection the value, second the gate), GELU, a mixture of experts, or one's own: f32[T,D] → f32[T,D]. */
function feedForward(m: ModelContext, x: F32, { width, feedForward: part, prefix, taps }: BlockOptions): F32 {
  if (part.kind === 'moe') {
    const { kind: _, ...experts } = part;
    return m.tap(`${taps}ff_out`, moe(m, x, { ...experts, width, prefix, taps }));
  }
  if (part.kind === 'own') {
    return m.tap(`${taps}ff_out`, part.layer(m, x, { prefix: `${prefix}ff.`, taps: `${taps}ff.` }));
  }
  const { kind, rows } = part;
  const inner = kind === 'swiglu' ? rows / 2 : rows;
  if (!Number.isSafeInteger(inner)) {
    return m.refuse(`decoderBlock: SwiGLU halves its ${rows} rows`, { wanted: 'an even number of rows' });
  }
  const projected = m.tap(`${taps}ff_proj`, linear(x, m.weight(`${prefix}ff_proj.weight`, [rows, width])));
  const active = m.tap(`${taps}act`, kind === 'swiglu' ? gated(projected, inner) : gelu(projected));
  return m.tap(`${taps}ff_out`, linear(active, m.weight(`${prefix}ff_out.weight`, [width, inner])));
}

function gated(projected: F32, inner: number): F32 {
  const [value, gate] = split(projected, [inner, inner]);
  return mul(silu(gate), value);
}
