// The nodes of the graph as it was written, for the page: their text, what became of them, and the calls that led to them.

import type { Graph, ValueId } from '../ir/graph.ts';
import { nodeText, valueNames } from '../ir/print.ts';
import type { Removal } from '../ir/trail.ts';
import type { OpData, PlaceData, SourceData } from './data.ts';

/** A file that calls stand in. */
export interface SourceFile {
  /** Its path as readers should see it. */
  readonly file: string;
  /** Whether it is one of the package's presets. */
  readonly preset: boolean;
  /** Undefined where it cannot be read. */
  readonly text: string | undefined;
}

/** A call: the place of its file in a list of those, line and column from 1. */
export type CallPlace = PlaceData;

/** Lines shown before and after a call. */
const AROUND = 4;

/** The nodes of a graph, each with its calls as places in the second list. */
export function opsOf(
  graph: Graph,
  removed: Readonly<Record<ValueId, Removal>>,
  calls: ReadonlyMap<ValueId, readonly CallPlace[]>,
): { readonly ops: readonly OpData[]; readonly places: readonly PlaceData[] } {
  const names = valueNames(graph);
  const places = new Map<string, { readonly at: number; readonly place: PlaceData }>();
  const placeOf = (place: PlaceData): number => {
    const key = place.join(' ');
    const known = places.get(key) ?? { at: places.size, place };
    places.set(key, known);
    return known.at;
  };
  const ops = graph.nodes.map((node): OpData => {
    const { id } = node.results[0]!;
    return {
      text: nodeText(node, names),
      op: node.op,
      calls: (calls.get(id) ?? []).map(placeOf),
      otherwise: removalText(removed[id], names),
    };
  });
  return { ops, places: [...places.values()].map(({ place }) => place) };
}

/** What became of a node that no kernel computes. */
function removalText(removal: Removal | undefined, names: (id: ValueId) => string): string {
  if (removal === undefined) return 'view: the elements of another value, nothing runs for it';
  if (removal.why === 'same') return `taken out: its value is that of ${names(removal.as)}`;
  return 'taken out: no output depends on it';
}

/** The lines of files that calls stand on, with some around them. */
export function sourcesOf(files: readonly SourceFile[], places: readonly PlaceData[]): SourceData[] {
  return files.map(({ file, preset, text }, at): SourceData => {
    const lines = text?.split(/\r?\n/) ?? [];
    const wanted = new Set<number>();
    for (const [source, line] of places) {
      if (source !== at || line > lines.length) continue;
      for (let near = Math.max(1, line - AROUND); near <= Math.min(lines.length, line + AROUND); near++)
        wanted.add(near);
    }
    const ranges: { line: number; lines: string[] }[] = [];
    for (const line of [...wanted].sort((a, b) => a - b)) {
      const open = ranges.at(-1);
      if (open !== undefined && open.line + open.lines.length === line) open.lines.push(lines[line - 1]!);
      else ranges.push({ line, lines: [lines[line - 1]!] });
    }
    return { file, preset, ranges };
  });
}
