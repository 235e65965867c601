// What simt counts of kernels whose requests can be worked out by hand, and of retrieval against what it must move.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import '../build-folder.ts';
import layer from '../../examples/layer.ts';
import {
  bytesOf,
  type Profile,
  type ProfiledLaunch,
  profile,
  projectedDevices,
  totalOf,
  traceEvents,
} from '../../src/profile/index.ts';
import type { UltramemError } from '../../src/support/errors.ts';
import tiny from './tiny.ts';

const test = suite('profile');

let counted: Promise<Profile> | undefined;
const profiled = (): Promise<Profile> => (counted ??= profile(tiny, { tokens: [1, 2] }));

const launchOf = ({ steps }: Profile, tokens: number, kernel: string): ProfiledLaunch =>
  steps.find((step) => step.tokens === tokens)!.launches.find((launch) => launch.kernel === kernel)!;

test('a sum of 64 elements: two warps, whole sectors', async () => {
  const { must, moved, touched, asked, flops, counters } = launchOf(await profiled(), 1, 'elementwise');
  const bytes = { read: 512, written: 256 };
  for (const figure of [must, moved, touched, asked]) assert.equal(figure, bytes);
  assert.is(flops, 64);
  const { loadRequests, storeRequests, idleLanes, barriers, atomics, mma, sharedRequests } = counters;
  assert.equal(
    { loadRequests, storeRequests, idleLanes, barriers, atomics, mma, sharedRequests },
    { loadRequests: 4, storeRequests: 2, idleLanes: 0, barriers: 0, atomics: 0, mma: 0, sharedRequests: 0 },
  );
});

test('of more tokens: the weight is asked for by each, and every warp of the grid asks how many there are', async () => {
  // A grid for 4 tokens has 8 warps, of which 4 have elements.
  const { must, moved, touched, counters } = launchOf(await profiled(), 2, 'elementwise');
  assert.equal(must, { read: 4 * (2 * 64 + 64), written: 4 * 2 * 64 });
  assert.equal(moved, { read: 32 * (8 + 16 + 16), written: 32 * 16 });
  assert.equal(touched, { read: 32 * (1 + 16 + 8), written: 32 * 16 });
  assert.is(counters.loadRequests, 8 + 4 + 4);
});

test('a row of 8 elements: an id and a sector, by 8 lanes of a warp', async () => {
  const { must, moved, asked, flops, counters } = launchOf(await profiled(), 1, 'gather_rows');
  assert.equal(must, { read: 4 + 32, written: 32 });
  assert.equal(moved, { read: 32 + 32, written: 32 });
  assert.equal(asked, { read: 8 * 4 + 32, written: 32 });
  assert.is(flops, 0);
  assert.is(counters.idleLanes, 3 * 24);
});

test('kernels and totals are sums of launches', async () => {
  for (const { launches, kernels, totals, least } of (await profiled()).steps) {
    assert.equal(totalOf(launches), totals);
    assert.is(
      kernels.reduce((n, kernel) => n + kernel.launches, 0),
      launches.length,
    );
    assert.is(
      totals.flops,
      kernels.reduce((n, kernel) => n + kernel.flops, 0),
    );
    // Nothing lies between the kernels of this model.
    assert.equal(least, totals.must);
  }
});

test('projected times follow from bytes, operations and launches, and say what they are', async () => {
  const { note, steps } = await profiled();
  assert.match(note, /projections, not measurements/);
  assert.equal(
    projectedDevices.map(({ name }) => name),
    ['A100', 'H100', 'RTX 4090'],
  );
  const { touched, flops, projected } = steps[0]!.launches.find(({ kernel }) => kernel === 'elementwise')!;
  for (const { name, bandwidth, f32, launch } of projectedDevices) {
    const wanted = 1e6 * (launch + Math.max(bytesOf(touched) / bandwidth, flops / f32));
    assert.ok(Math.abs(projected[name]! - wanted) < 1e-9, name);
    assert.ok(projected[name]! > 0.5);
  }
});

test('a trace lays the launches of a step end to end', async () => {
  const result = await profiled();
  const { traceEvents: events, otherData } = traceEvents(result);
  assert.match(otherData.note!, /projections/);
  for (const [p, { name }] of projectedDevices.entries()) {
    const named = events.find((event) => event.name === 'process_name' && event.pid === p + 1)!;
    assert.match(String(named.args.name), name);
    for (const [s, { launches, totals }] of result.steps.entries()) {
      const spans = events.filter(({ ph, pid, tid }) => ph === 'X' && pid === p + 1 && tid === s + 1);
      assert.equal(
        spans.map((span) => span.name),
        launches.map(({ kernel }) => kernel),
      );
      let end = 0;
      for (const [i, { ts, dur, args }] of spans.entries()) {
        assert.is(ts, end);
        end += dur!;
        assert.is(args.bytesThatMustMove, bytesOf(launches[i]!.must));
      }
      assert.ok(Math.abs(end - totals.projected[name]!) < 1e-9);
    }
  }
});

test('tokens that a model does not take are refused before anything is built', async () => {
  for (const [tokens, code] of [
    [[5], 'too-many-tokens'],
    [[0], 'option-invalid'],
    [[1.5], 'option-invalid'],
    [[], 'option-invalid'],
  ] as const) {
    const error = await profile(tiny, { tokens }).then(
      () => undefined,
      (e: UltramemError) => e,
    );
    assert.is(error?.code, code);
  }
});

test('retrieval of a layer of the paper’s size moves at most 1.15 times what it must', async () => {
  const sizes = { hidden_size: 1024, knum: 512, kdim: 192, vdim: 192, knn: 32, head: 2 };
  const { steps } = await profile(layer({ name: 'paper-like', config: sizes }), { tokens: [1, 64] });
  for (const { tokens, launches } of steps) {
    const retrieval = launches.filter(({ kernel }) => /^(score_topk|rescore_topk|gather_pool)/.test(kernel));
    assert.is(retrieval.length, 3);
    const { must, moved, touched } = totalOf(retrieval);
    const [H, n, Dk, m, r, Dv, E] = [2, 1024, 192, 32, 2, 192, 4];
    // Keys once, rows once (of the keys at most all), queries in, sums out.
    const keys = 2 * H * n * Dk + 2 * H * Math.min(n, tokens * m) * r * Dk;
    const least = 4 * (keys + tokens * m * H * Dv + tokens * (2 * Dk + E * Dv));
    const say = (ratio: number) => `T = ${tokens}: ${ratio.toFixed(3)}`;
    const ratio = bytesOf(moved) / bytesOf(must);
    assert.ok(ratio >= 1 && ratio <= 1.15, say(ratio));
    const cached = bytesOf(touched) / least;
    assert.ok(cached <= 1.15, say(cached));
  }
});

test.run();
