// The reference's cases stored as bf16 on targets that are compiled: against the interpreter in the same storage.

import { fileURLToPath } from 'node:url';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { openGoldens } from '../../src/verify/golden.ts';
import { verifyCase } from '../../src/verify/verify-case.ts';
import '../build-folder.ts';
import { inLanes } from '../lanes.ts';

const cases = await openGoldens(fileURLToPath(new URL('goldens', import.meta.url)));

/** Selections of a case whose scores must have been compared: stage 1 of both sides and stage 2, of each memory that counts. */
const selections: Readonly<Record<string, number>> = {
  ...{ lm_dense: 0, lm_memory_plus: 6, lm_v1_disjoint: 6, lm_v1_overlap: 3, lm_v2_full: 9, memory_plus_small: 6 },
  ...{ v2_head4_nopre: 6, v2_small_e1_glu_ratio_head1: 9, v2_small_e1_shared3: 9, v2_small_e4_shared3: 9 },
};

/** Adds a test per case. */
export function testNarrowGoldens(test: Test, target: 'cpu' | 'simt' | 'cuda'): void {
  const reports = inLanes(cases.map((golden) => () => verifyCase(golden, { target, precision: 'bf16', threads: 2 })));
  for (const [i, { name }] of cases.entries()) {
    test(`${name}, bf16`, async () => {
      const { state, comparisons } = await reports(i);
      for (const { ok, name: tensor, note, error } of comparisons) assert.ok(ok, `${tensor}: ${error}, ${note}`);
      assert.is(state, 'passed');
      assert.ok(comparisons.some(({ name: tensor }) => tensor.startsWith('out.')));
      const ranked = comparisons.filter(({ name: tensor }) => tensor.endsWith(', best first'));
      assert.is(ranked.length, selections[name] ?? 3, `selections of ${name}`);
    });
  }
}
