// The reference's cases on targets that are compiled, as `ultramem verify` runs them: outputs, retrieved rows, and what fusion
// keeps inside.

import { fileURLToPath } from 'node:url';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OpenOptions } from '../../src/open-model.ts';
import { openGoldens } from '../../src/verify/golden.ts';
import { verifyCase } from '../../src/verify/verify-case.ts';
import '../build-folder.ts';
import { inLanes } from '../lanes.ts';

/** Intermediates that must be compared, by kind of case: a tap that is lost compares nothing and would pass unseen. */
const layer = [
  'query_proj',
  'query_norm',
  'stage1_scores1',
  'stage1_scores2',
  'stage1_index1',
  'stage1_index2',
  'best_scores',
  'shuffled_index',
  'lookup_scores',
  'pooled',
];
const v2Layer = ['shuffled_index', 'lookup_scores', 'real_index', 'best_scores', 'stage1_index1'];
const memoryPlusLayer = [
  'query_proj',
  'query_norm',
  'best_index',
  'softmax_scores',
  'stage1_scores1',
  'stage1_index2',
  'pooled',
];
const layers = (count: number, names: readonly string[]): string[] =>
  Array.from({ length: count }, (_, n) => names.map((name) => `${n}.${name}`)).flat();
const block = ['attn_norm', 'att_proj', 'q_norm', 'k_norm', 'q_rope', 'k_rope', 'attn_out', 'ff_norm', 'act', 'ff_out'];
const memory = ['in', 'shuffled_index', 'lookup_scores', 'pooled', 'out'];
const blocks = (count: number): string[] => [
  'wte',
  'ln_f',
  ...block.map((name) => `block0.${name}`),
  ...Array.from({ length: count }, (_, i) => [`block${i}.in`, `block${i}.out`]).flat(),
];
const memories = (...numbers: number[]): string[] => numbers.flatMap((n) => memory.map((name) => `mem${n}.${name}`));

const kept: Readonly<Record<string, readonly string[]>> = {
  lm_dense: blocks(4),
  // Memory 0 reads what block 0's ff_proj reads: one product computes both.
  lm_v1_disjoint: [...blocks(4), ...memories(0, 1)].filter((name) => name !== 'block0.ff_proj'),
  // Memory 0 is displaced before it is added: only what it reads is computed.
  lm_v1_overlap: [...blocks(4), ...memories(1), 'mem0.in'],
  lm_memory_plus: [...blocks(4), ...memories(0, 1)],
  // Blocks whose sums are not projected one by one keep no pooled block.
  lm_v2_full: [...blocks(3), ...memories(0, 1, 2).filter((name) => !name.endsWith('pooled'))],
  memory_plus_small: layers(2, memoryPlusLayer),
  v1_head1_rank1_multi1: layer,
  v1_odd: layer,
  v1_paperlike: layer,
  v1_rank3_multi4_e1: [...layer, 'real_index'],
  v1_rank3_multi4_e4: layer,
  v1_small: layer,
  v1_small_flipped_uv: layer,
  v2_head4_nopre: layers(2, [...v2Layer, 'query_proj', 'query_norm', 'group_index', 'pooled']),
  v2_small_e1_glu_ratio_head1: layers(3, [...v2Layer, 'pre_input', 'pre_score']),
  v2_small_e1_shared3: layers(3, [...v2Layer, 'pre_input', 'pre_score']),
  v2_small_e4_shared3: layers(3, [...v2Layer, 'pre_input', 'pre_score', 'group_index', 'pooled']),
};

const cases = await openGoldens(fileURLToPath(new URL('goldens', import.meta.url)));

/** Adds a test per case, and one that no case is missing. */
export function testGoldens(test: Test, target: OpenOptions['target']): void {
  const reports = inLanes(cases.map((golden) => () => verifyCase(golden, { target, threads: 2 })));

  test('every case is here', () => assert.equal(cases.map(({ name }) => name).sort(), Object.keys(kept).sort()));

  for (const [i, { name }] of cases.entries()) {
    test(name, async () => {
      const { state, comparisons } = await reports(i);
      for (const { ok, name: tensor, note } of comparisons) assert.ok(ok, `${tensor}: ${note}`);
      assert.is(state, 'passed');
      const compared = comparisons.map((comparison) => comparison.name);
      assert.ok(
        compared.some((one) => /^out\.(logits|y)/.test(one)),
        compared.join(),
      );
      const lost = kept[name]!.filter((tap) => !compared.includes(`mid.${tap}`));
      assert.equal(lost, [], 'intermediates that nothing compares');
      for (const { name: tensor, error } of comparisons) assert.ok(error <= 1e-5, `${tensor}: ${error}`);
    });
  }
}
