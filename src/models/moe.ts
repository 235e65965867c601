// A mixture-of-experts feed-forward, written as its formulas. No token is dropped: experts have no capacity.

import {
  div,
  einsum,
  type F32,
  gather,
  gelu,
  linear,
  type ModelContext,
  mul,
  reshape,
  silu,
  softmax,
  sum,
  topk,
} from '../dsl/index.ts';

/** Sizes and options of the experts and their router. */
export interface ExpertOptions {
  /** Experts [E], at least 1. */
  readonly experts: number;
  /** Experts that a token goes to [K], at most `experts`. */
  readonly kept: number;
  /** Width inside an expert [I]. */
  readonly inner: number;
  /** `swiglu` (default): W_out·(silu(W_gate·x) ∘ W_in·x), three matrices. `gelu`: W_out·gelu(W_in·x), two. */
  readonly activation?: 'swiglu' | 'gelu';
  /** Whether the router's softmax is over all experts, `before` a token's best are kept, or over those kept, `after` (default). */
  readonly softmax?: 'before' | 'after';
  /** Whether the weights of the kept are divided by their sum; default false. After a softmax of the kept their sum is 1 already. */
  readonly renormalise?: boolean;
}

export interface MoeOptions extends ExpertOptions {
  /** Width of x and of the result [D]. */
  readonly width: number;
  /** Put before every weight's name; default none. */
  readonly prefix?: string;
  /** Put before every tap's name; default `mid.`. */
  readonly taps?: string;
}

/**
 * A mixture of experts: x f32[T,D] → f32[T,D], Σ over a token's K best experts of their weight times what they make of x.
 * Ties go to the lower expert. Weights: `router.weight` [E,D]; stacked over experts `experts.in.weight` [E,I,D],
 * `experts.gate.weight` [E,I,D] for SwiGLU, and `experts.out.weight` [E,D,I]. Taps: `router` [T,E] the logits, `experts` [T,K] the
 * chosen, `expert_weights` [T,K].
 * Sizes that cannot be are refused at the call.
 */
export function moe(m: ModelContext, x: F32, options: MoeOptions): F32 {
  const { width, experts, kept, inner, activation = 'swiglu', prefix = '', taps = 'mid.' } = options;
  const refused = refuseOptions(m, options);
  if (refused) return refused;
  const T = x.shape[0] ?? 1;
  const logits = m.tap(`${taps}router`, linear(x, m.weight(`${prefix}router.weight`, [experts, width])));
  const before = options.softmax === 'before';
  const [best, index] = topk(before ? softmax(logits) : logits, { k: kept });
  m.tap(`${taps}experts`, index);
  const shares = before ? best : softmax(best);
  const rescaled = before && options.renormalise === true;
  const scores = m.tap(`${taps}expert_weights`, rescaled ? div(shares, reshape(sum(shares), [T, 1])) : shares);

  const chosen = (name: string, rows: number, columns: number): F32 =>
    gather('eid,tk->tkid', m.weight(`${prefix}experts.${name}.weight`, [experts, rows, columns]), index);
  const of = (name: string): F32 => einsum('td,tkid->tki', x, chosen(name, inner, width));
  const active = activation === 'swiglu' ? mul(silu(of('gate')), of('in')) : gelu(of('in'));
  const out = einsum('tki,tkdi->tkd', active, chosen('out', width, inner));
  return einsum('tk,tkd->td', scores, out);
}

function refuseOptions(m: ModelContext, { width, experts, kept, inner, ...rest }: MoeOptions): F32 | undefined {
  const sizes = { width, experts, kept, inner };
  for (const [name, size] of Object.entries(sizes)) {
    if (Number.isSafeInteger(size) && size >= 1) continue;
    const hint = name === 'experts' ? 'one expert is a dense feed-forward part' : undefined;
    return m.refuse(`moe: ${name}`, { got: String(size), wanted: 'an integer of at least 1', ...(hint && { hint }) });
  }
  if (kept > experts) {
    return m.refuse(`moe: a token keeps ${kept} of ${experts} experts`, {
      wanted: `at most ${experts} kept`,
      hint: 'kept is how many experts a token goes to; experts is how many there are',
    });
  }
  const choices = { activation: ['swiglu', 'gelu'], softmax: ['before', 'after'] } as const;
  for (const [name, known] of Object.entries(choices)) {
    const given: unknown = rest[name as keyof typeof choices];
    if (given === undefined || (known as readonly unknown[]).includes(given)) continue;
    return m.refuse(`moe: ${name}`, { got: JSON.stringify(given), wanted: known.join(' or ') });
  }
  return undefined;
}
