// Which launches run on a second stream beside others: a memory layer that reads at block i and adds at block j has all of
// blocks i+1…j to hide behind. Found by what launches touch, not by what they are.

import { invariant } from '../../support/errors.ts';
import type { Decision } from '../types.ts';
import type { DeviceLaunch } from './launch.ts';

/**
 * Launches that a side stream must have, and leave to the main one. Forking and joining cost about two launches on each side,
 * and what is shorter than that on either side gains nothing.
 */
const WORTH_FORKING = 4;

/** Launches that end in `last` and that nothing but `last`'s result leaves. */
interface Segment {
  readonly launches: readonly number[];
  readonly last: number;
  /** Latest launch that one of them needs, or -1. */
  readonly fork: number;
  /** First launch that needs `last`, or the number of launches. */
  readonly join: number;
  /** How many launches of the main stream lie between fork and join. */
  readonly beside: number;
}

/** `launches` with their streams and waits; tells each segment it moves to stream 1 to `decide`. */
export function assignStreams(
  launches: readonly DeviceLaunch[],
  decide: (decision: Decision) => void,
): readonly DeviceLaunch[] {
  const needs = dependences(launches);
  const neededBy: number[][] = launches.map(() => []);
  for (const [i, earlier] of needs.entries()) for (const a of earlier) neededBy[a]!.push(i);

  const streams = new Array<number>(launches.length).fill(0);
  for (let best = bestSegment(needs, neededBy, streams); best !== undefined; ) {
    for (const i of best.launches) streams[i] = 1;
    decide(decisionOf(best, launches));
    best = bestSegment(needs, neededBy, streams);
  }

  // What a launch waits for, its stream has waited for ever after.
  const waited = [-1, -1];
  return launches.map((launch, i) => {
    const stream = streams[i]!;
    const after = Math.max(-1, ...needs[i]!.filter((a) => streams[a] !== stream));
    if (after <= waited[stream]!) return { ...launch, stream };
    waited[stream] = after;
    return { ...launch, stream, after };
  });
}

/**
 * For each launch the earlier ones that must be done before it: it reads what they wrote, or writes what they read or wrote.
 * Buffers count as a whole; those that others find their values in are as good as one that nobody shares.
 */
export function dependences(launches: readonly Pick<DeviceLaunch, 'pointers'>[]): readonly (readonly number[])[] {
  const uses = new Map<string, { writer: number; readers: number[] }>();
  return launches.map(({ pointers }, i) => {
    const earlier = new Set<number>();
    const touched = new Map<string, boolean>();
    for (const { view, access } of pointers) {
      if (view !== null) touched.set(view.buffer, touched.get(view.buffer) || access !== 'read');
    }
    for (const [buffer, writes] of touched) {
      const use = uses.get(buffer) ?? { writer: -1, readers: [] };
      if (use.writer >= 0) earlier.add(use.writer);
      if (writes) for (const reader of use.readers) earlier.add(reader);
      uses.set(buffer, writes ? { writer: i, readers: [] } : { ...use, readers: [...use.readers, i] });
    }
    return [...earlier];
  });
}

/**
 * Whether launch a is done before launch b starts, for any two launches: their streams are in order, and who waits for a
 * launch waits for all before it on that stream.
 */
export function orderOf(
  launches: readonly Pick<DeviceLaunch, 'stream' | 'after'>[],
): (a: number, b: number) => boolean {
  const waited = [-1, -1];
  const done = launches.map(({ stream, after = -1 }) => (waited[stream] = Math.max(waited[stream]!, after)));
  return (a, b) => a < b && (launches[a]!.stream === launches[b]!.stream || a <= done[b]!);
}

/** Whether two buffers may not share bytes: unless all launches that touch one are done before any that touches the other. */
export function usedTogether(
  launches: readonly Pick<DeviceLaunch, 'stream' | 'after' | 'pointers'>[],
): (a: { readonly name: string }, b: { readonly name: string }) => boolean {
  const before = orderOf(launches);
  const users = new Map<string, number[]>();
  for (const [i, { pointers }] of launches.entries()) {
    for (const { view } of pointers) if (view !== null) users.set(view.buffer, [...(users.get(view.buffer) ?? []), i]);
  }
  const usersOf = ({ name }: { readonly name: string }): readonly number[] => users.get(name) ?? [];
  const allBefore = (a: readonly number[], b: readonly number[]) => a.every((i) => b.every((j) => before(i, j)));
  return (a, b) => !allBefore(usersOf(a), usersOf(b)) && !allBefore(usersOf(b), usersOf(a));
}

type Edges = readonly (readonly number[])[];

/** The segment that hides most launches; of two that hide each other, the shorter. */
function bestSegment(needs: Edges, neededBy: Edges, streams: readonly number[]): Segment | undefined {
  let best: Segment | undefined;
  for (let last = 0; last < needs.length; last++) {
    if (streams[last] !== 0) continue;
    const segment = segmentOf(last, needs, neededBy, streams);
    if (hidden(segment) < WORTH_FORKING) continue;
    const gain = best === undefined ? 1 : hidden(segment) - hidden(best);
    if (gain > 0 || (gain === 0 && segment.launches.length < best!.launches.length)) best = segment;
  }
  return best;
}

const hidden = ({ launches, beside }: Segment): number => Math.min(launches.length, beside);

/** The largest segment of the main stream that ends in `last`. */
function segmentOf(last: number, needs: Edges, neededBy: Edges, streams: readonly number[]): Segment {
  const inside = new Set([last]);
  for (let i = last - 1; i >= 0; i--) {
    const users = neededBy[i]!;
    if (streams[i] === 0 && users.length > 0 && users.every((user) => inside.has(user))) inside.add(i);
  }
  const launches = [...inside].reverse();
  const fork = Math.max(-1, ...launches.flatMap((i) => needs[i]!.filter((a) => !inside.has(a))));
  const join = Math.min(needs.length, ...neededBy[last]!);
  let beside = 0;
  for (let i = fork + 1; i < join; i++) if (streams[i] === 0 && !inside.has(i)) beside++;
  return { launches, last, fork, join, beside };
}

function decisionOf({ launches, last, fork, join, beside }: Segment, all: readonly DeviceLaunch[]): Decision {
  const result = all[last]!.pointers.find(({ view, access }) => view !== null && access !== 'read')?.view;
  invariant(result != null, `${all[last]!.kernel} writes nothing`);
  const until = join === all.length ? 'nobody in the step' : `nobody before launch ${join}`;
  const from = fork < 0 ? 'nothing of the step' : `nothing after launch ${fork}`;
  return {
    subject: result.buffer,
    choice: `stream 1, launches ${ranges(launches)}`,
    reason: `needs ${from} and ${until} needs it: ${beside} launches run beside`,
  };
}

/** `3…5, 9` */
function ranges(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const n of numbers) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === n - 1) run[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([a, b]) => (a === b ? `${a}` : `${a}…${b}`)).join(', ');
}
