// Runs passes over a graph: times each, verifies what it gives, and writes down the graph before a pass that fails.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Graph } from '../ir/graph.ts';
import { print, type Trail, verify } from '../ir/index.ts';
import { debug } from '../support/debug.ts';
import { debugLevel, readSwitch } from '../support/env.ts';
import { stoppedAfter, unknownPass } from '../support/errors/passes.ts';
import { InvariantError, invariant } from '../support/errors.ts';
import { didYouMean } from '../support/suggest.ts';
import { type Pass, pipeline } from './index.ts';

/** What one pass did. */
export interface PassRun {
  readonly pass: string;
  readonly changed: boolean;
  readonly milliseconds: number;
  readonly nodesBefore: number;
  readonly nodesAfter: number;
}

/** A pass broke its promise. `reproducer` is the text of the graph before it: `ultramem inspect` of its file fails again. */
export class PassError extends InvariantError {
  readonly pass: string;
  readonly reproducer: string;
  /** File that holds the reproducer; undefined where none could be written. */
  readonly reproducerFile: string | undefined;

  constructor(pass: string, before: Graph, cause: unknown, previous: string | undefined) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const reproducer = `// pass: ${pass}\n${print(before)}`;
    const file = written(`${pass}.ir`, reproducer);
    const again = file === undefined ? '' : `\nTo see it again: ultramem inspect ${file}`;
    const look = previous === undefined ? '' : `\nAFTER=${previous} shows the graph before it.`;
    super(`ultramem bug: pass ${pass} failed on graph ${before.name}: ${reason}${again}${look}`);
    this.cause = cause;
    this.pass = pass;
    this.reproducer = reproducer;
    this.reproducerFile = file;
  }
}

/** Writes a file into a folder of its own; its path, or undefined on a machine without room: the fault itself matters more. */
function written(name: string, text: string): string | undefined {
  try {
    const file = join(mkdtempSync(join(tmpdir(), 'ultramem-')), name);
    writeFileSync(file, text);
    return file;
  } catch {
    return undefined;
  }
}

export interface RunOptions {
  /** Called after every pass with the graph it gave. */
  readonly onPass?: (run: PassRun, graph: Graph) => void;
  /** The passes to run; default all of `pipeline`. */
  readonly passes?: readonly Pass[];
  /** Verify after every pass; default on, VERIFY=0 turns it off. */
  readonly verify?: boolean;
  /** Follows the passes. */
  readonly trail?: Trail | undefined;
}

/**
 * The graph after all passes, and what each did. AFTER=pass stops behind the first run of that pass.
 * Throws PassError where a pass throws or gives a graph that is not well formed; `unknown-pass` and `stopped-after` for AFTER.
 */
export function runPasses(graph: Graph, options: RunOptions = {}): { graph: Graph; log: readonly PassRun[] } {
  const { passes = pipeline, onPass, trail } = options;
  const checks = options.verify ?? readSwitch('VERIFY') !== '0';
  const last = passToStopAfter(passes);
  const log: PassRun[] = [];
  for (const pass of passes) {
    const before = graph;
    const started = performance.now();
    try {
      trail?.enter(pass.name);
      graph = pass(before, trail);
      invariant(trail === undefined || trail.graph === graph, 'it made a graph and told the trail nothing of it');
      if (checks && graph !== before) verify(graph);
    } catch (error) {
      throw new PassError(pass.name, before, error, log.at(-1)?.pass);
    }
    const run: PassRun = {
      pass: pass.name,
      changed: graph !== before,
      milliseconds: performance.now() - started,
      nodesBefore: before.nodes.length,
      nodesAfter: graph.nodes.length,
    };
    log.push(run);
    if (run.changed) debug(3, () => `${run.pass}: ${run.nodesBefore} → ${run.nodesAfter} nodes`);
    if (run.changed && debugLevel() >= 5) debug(5, () => `after ${run.pass}\n${print(graph)}`);
    onPass?.(run, graph);
    if (run.pass === last) throw stoppedAfter(last, print(graph));
  }
  return { graph, log };
}

/** The pass that AFTER names. */
function passToStopAfter(passes: readonly Pass[]): string | undefined {
  const name = readSwitch('AFTER');
  const known = [...new Set(passes.map((pass) => pass.name))];
  if (name !== undefined && !known.includes(name)) throw unknownPass(name, known, didYouMean(name, known).trim());
  return name;
}
