// The page of `ultramem inspect --html`: gathers what it shows, from the graph to the emitted source, and has it written.

import { basename, dirname, relative, sep } from 'node:path';
import { readNativeHeaders } from './build/native-headers.ts';
import { emit } from './codegen/emit.ts';
import { launchExcerpts } from './codegen/launch-excerpts.ts';
import type { Precision, TableType } from './compile.ts';
import { type Call, isModel, type Model, traceCalls } from './dsl/index.ts';
import { asWritten, estimate, type Inspection, type InspectTarget, inspect } from './inspect.ts';
import type { Graph, ValueId } from './ir/graph.ts';
import { print } from './ir/print.ts';
import { type CallPlace, renderPage, type SourceFile, tokenChoices, workOf } from './page/index.ts';
import { rooflines } from './profile/machines.ts';
import { describeStep, stepOf } from './profile/random-step.ts';
import { mostTokens, type WeightsLike } from './runtime/index.ts';

export interface PageOptions {
  readonly target: InspectTarget;
  readonly precision: Precision;
  readonly tables: TableType | undefined;
  /** Sequences of the session whose memory is estimated, and a checkpoint for that: see estimate. */
  readonly maxSequences: number;
  readonly weights: WeightsLike | undefined;
  /** The file of the model or graph. */
  readonly file: string;
  /** Text of a file of the model or of a preset; undefined where it cannot be read. */
  readonly readText: (path: string) => string | undefined;
}

/** The text of the page on a model, or on a graph as it stands. Throws what tracing, passes, planning and estimating throw. */
export async function inspectPage(subject: Model | Graph, options: PageOptions): Promise<string> {
  const { target, precision, tables, maxSequences, weights } = options;
  const { graph, calls } = isModel(subject) ? traceCalls(subject) : { graph: subject, calls: undefined };
  const inspection = inspect(graph, { target, precision, tables });
  const { plan, before } = inspection;
  const source = basename(options.file);
  const companions = { source, graphBefore: print(before), graphAfter: print(inspection.after) };
  const files = emit(plan, companions, target === 'cuda' ? 'cuda' : 'simt');
  const emitted = launchExcerpts(plan, files, source);
  const unfused = asWritten(graph, { target, precision, tables });
  const placed = calls === undefined ? placesIn(before) : placesOf(calls, subject as Model, options.readText);
  return renderPage({
    inspection,
    target,
    stored: `${precision}${tables === undefined ? '' : `, tables ${tables}`}`,
    source,
    memory: { sequences: maxSequences, estimate: await estimate(plan, maxSequences, { weights }) },
    steps: tokenChoices(mostTokens(plan)).map((tokens) => {
      const step = stepOf(plan, tokens);
      return { step, holds: describeStep(step), written: unfused && workOf(unfused, step) };
    }),
    machines: rooflines,
    emitted,
    headers: await readNativeHeaders([...emitted.values()].flat().map(({ header }) => header)),
    ...placed,
  });
}

type Placed = Pick<Parameters<typeof renderPage>[0], 'files' | 'calls'>;

/** Collects files of calls, each once. */
function fileList(make: (path: string, preset: boolean) => SourceFile) {
  const places = new Map<string, number>();
  const files: SourceFile[] = [];
  return {
    files,
    placeOf(path: string, preset: boolean): number {
      const known = places.get(path);
      if (known !== undefined) return known;
      places.set(path, files.length);
      return files.push(make(path, preset)) - 1;
    },
  };
}

/** Calls of a model that was traced, with the texts of their files. */
function placesOf(
  calls: ReadonlyMap<ValueId, readonly Call[]>,
  model: Model,
  readText: PageOptions['readText'],
): Placed {
  const folder = model.loc === undefined ? process.cwd() : dirname(model.loc.file);
  const list = fileList((path, preset) => {
    const file = preset ? `ultramem/models/${basename(path)}` : relative(folder, path).split(sep).join('/');
    return { file, preset, text: readText(path) };
  });
  const placed = [...calls].map(([id, each]): [ValueId, CallPlace[]] => [
    id,
    each.map(({ file, line, column, preset }) => [list.placeOf(file, preset), line, column]),
  ]);
  return { files: list.files, calls: new Map(placed) };
}

/** Places that a graph's own text gives, whose files are not at hand. */
function placesIn({ nodes }: Inspection['before']): Placed {
  const list = fileList((file) => ({ file, preset: false, text: undefined }));
  const placed = nodes.flatMap(({ loc, results }): [ValueId, CallPlace[]][] =>
    loc === undefined ? [] : [[results[0]!.id, [[list.placeOf(loc.file, false), loc.line, loc.column]]]],
  );
  return { files: list.files, calls: new Map(placed) };
}
