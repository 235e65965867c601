// The plan as text for readers: memory, decisions with reasons, and every launch with its buffers.

import { type Loc, typeText } from '../ir/graph.ts';
import type { DeviceLaunch } from './device/launch.ts';
import type { Plan } from './plans.ts';
import type { AnyLaunch, Buffer, Count, Schedule, View } from './types.ts';

/** Prints a plan; the same text for the same plan. */
export function printPlan(plan: Plan): string {
  const lines: string[] = [`plan ${plan.name} for ${plan.target}`, ''];
  for (const s of plan.symbols) lines.push(`symbol ${s.name} <= ${s.bound} ${s.scope}`);
  for (const t of plan.inputs)
    lines.push(`input  ${t.name} : ${typeText(t.type)}${t.below === undefined ? '' : ` below ${t.below}`}`);
  for (const t of plan.outputs) lines.push(`output ${t.name} : ${typeText(t.type)}`);
  for (const t of plan.states) lines.push(`state  ${t.name} : ${typeText(t.type)}`);
  const m = plan.memory;
  lines.push(
    '',
    'memory',
    `  weights            ${bytes(m.weights)}, of which ${bytes(m.retained)} stay mapped${m.inFile === 0 ? '' : ` and ${bytes(m.inFile)} in their file`}`,
    `  prepared           ${bytes(m.prepared)}, made at load with ${bytes(m.prepareScratch)} of scratch`,
    `  state per sequence ${bytes(m.statePerSequence)}`,
    `  arena              ${plan.variants.map((v) => `${v.name} ${bytes(v.bytes)}`).join(', ')}`,
    '',
    'decisions',
    ...table(plan.decisions.map((d) => [d.subject, d.choice, d.reason])),
    '',
    ...schedule('prepare', plan.prepare),
  );
  for (const v of plan.variants) lines.push('', ...schedule(`step ${v.name}, T ${v.minTokens}…${v.maxTokens}`, v));
  if (plan.sample !== undefined) lines.push('', ...schedule(`sample, T 1…${plan.sample.maxTokens}`, plan.sample));
  return `${lines.join('\n')}\n`;
}

const bytes = (n: number): string => `${n.toLocaleString('en-US')} bytes`;

function schedule(title: string, s: Schedule<AnyLaunch | DeviceLaunch>): string[] {
  const own = s.buffers.filter((b) => b.space === 'arena' || b.space === 'scratch' || b.space === 'prepared');
  return [
    `${title}: ${s.launches.length} launches, ${bytes(s.bytes)}`,
    ...table(own.map((b) => [b.name, b.holds, `${b.space} at ${b.offset}`, life(b)])),
    ...s.launches.map((l, i) => `  [${i}] ${'pointers' in l ? deviceLaunchText(l) : launchText(l)}`),
  ];
}

const life = (b: Buffer): string => (b.first === b.last ? `launch ${b.first}` : `launches ${b.first}…${b.last}`);

function launchText(launch: AnyLaunch): string {
  const constants = Object.entries(launch.constants).map(([k, v]) => `${k}=${JSON.stringify(v)}`);
  const views = (of: object) => (Object.values(of) as (View | null)[]).filter((v) => v !== null).map(viewText);
  const written = views(launch.writes).join(', ');
  return `${written === '' ? '' : `${written} = `}${launch.kernel}(${views(launch.reads).join(', ')}) rows=${rowsText(launch)} {${constants.join(', ')}}${locText(launch)}`;
}

function deviceLaunchText(launch: DeviceLaunch): string {
  const views = (wanted: (access: string) => boolean): string =>
    launch.pointers.flatMap(({ view, access }) => (view !== null && wanted(access) ? [viewText(view)] : [])).join(', ');
  const constants = launch.constants.map((c) => (typeof c === 'object' ? `[${c.join(',')}]` : String(c))).join(', ');
  const shape = `grid=${launch.grid.join('×')} block=${launch.block.join('×')} shared=${launch.shared}${streamText(launch)}`;
  const written = views((access) => access !== 'read');
  return `${written} = ${launch.kernel}<${constants}>(${views((access) => access !== 'write')}) rows=${rowsText(launch)} ${shape}${locText(launch)}`;
}

/** Nothing where a launch just follows the one before. */
const streamText = ({ stream, after }: DeviceLaunch): string =>
  `${stream === 0 ? '' : ` stream=${stream}`}${after === undefined ? '' : ` after=${after}`}`;

const viewText = (v: View): string => (v.offset === 0 ? v.buffer : `${v.buffer}+${v.offset}`);

const rowsText = ({ rows }: { readonly rows: Count }): string =>
  rows.tokens ? (rows.factor === 1 ? 'T' : `T*${rows.factor}`) : `${rows.factor}`;

const locText = ({ loc }: { readonly loc: Loc | undefined }): string =>
  loc === undefined ? '' : `  // ${loc.file}:${loc.line}:${loc.column}`;

/** Rows with their columns aligned, the last one ragged. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>((w, row) => row.map((cell, i) => Math.max(w[i] ?? 0, cell.length)), []);
  return rows.map(
    (row) => `  ${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join('  ')}`,
  );
}
