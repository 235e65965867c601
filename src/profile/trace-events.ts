// A profile as a trace for chrome://tracing or ui.perfetto.dev: launches end to end, as long as they are projected to take.

import { bytesOf, type Profile } from './profile.ts';

/** An event of the Trace Event Format ("X": a span, "M": a name); times in microseconds. */
export interface TraceEvent {
  readonly ph: 'X' | 'M';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface TraceFile {
  readonly displayTimeUnit: 'ns';
  readonly otherData: Readonly<Record<string, string>>;
  readonly traceEvents: readonly TraceEvent[];
}

/** A process per device, a thread per step; every span has the figures of its launch as arguments. */
export function traceEvents(profile: Profile): TraceFile {
  const devices = Object.keys(profile.steps[0]?.totals.projected ?? {});
  const events = devices.flatMap((device, p): TraceEvent[] => {
    const named = (name: string, tid: number, args: TraceEvent['args']): TraceEvent => ({
      ph: 'M',
      name,
      pid: p + 1,
      tid,
      args,
    });
    return [
      named('process_name', 0, { name: `${device} (projected)` }),
      ...profile.steps.flatMap((step, s): TraceEvent[] => {
        let ts = 0;
        const spans = step.launches.map((launch): TraceEvent => {
          const { kernel, computes, place, grid, block, must, moved, touched, asked, flops, counters, projected } =
            launch;
          const dur = projected[device]!;
          const args = {
            ...{ computes, place, grid: grid.join('×'), block: block.join('×') },
            ...{
              bytesThatMustMove: bytesOf(must),
              bytesMoved: bytesOf(moved),
              bytesTouched: bytesOf(touched),
              bytesAsked: bytesOf(asked),
              flops,
            },
            ...counters,
          };
          const span: TraceEvent = { ph: 'X', name: kernel, cat: 'kernel', pid: p + 1, tid: s + 1, ts, dur, args };
          ts += dur;
          return span;
        });
        return [named('thread_name', s + 1, { name: `T = ${step.tokens} (${step.variant})` }), ...spans];
      }),
    ];
  });
  return { displayTimeUnit: 'ns', otherData: { model: profile.model, note: profile.note }, traceEvents: events };
}
