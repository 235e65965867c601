// Faults in the user's model file: collected, then shown together with the lines at fault.

import { UltramemError } from './errors.ts';

/** A place in a source file; line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One fault of a model: what, where, what was got against what was wanted, and what to do. */
export interface Diagnostic {
  /** Stable, kebab-case: safe to test against. */
  readonly code: string;
  readonly message: string;
  /** The call in the model file; undefined where the stack did not show one. The file is an absolute path. */
  readonly loc: Place | undefined;
  readonly got: string | undefined;
  readonly wanted: string | undefined;
  readonly hint: string | undefined;
}

/** How to show diagnostics. Reading files and shortening paths is the caller's business: this module touches no disk. */
export interface FrameOptions {
  /** Text of a source file; undefined where it cannot be read, and then no excerpt is shown. */
  readonly source?: (file: string) => string | undefined;
  /** A path as the reader should see it. */
  readonly path?: (file: string) => string;
}

/** All faults that tracing a model found. `code` is `model-errors`; the faults are in `diagnostics` and, as JSON, in `details`. */
export class DiagnosticsError extends UltramemError {
  readonly diagnostics: readonly Diagnostic[];

  constructor(model: string, diagnostics: readonly Diagnostic[]) {
    super('model-errors', summary(model, diagnostics), { details: { model, diagnostics } });
    this.diagnostics = Object.freeze([...diagnostics]);
  }

  /** The faults with excerpts of the lines that hold them. */
  render(options: FrameOptions = {}): string {
    return renderDiagnostics(this.diagnostics, options);
  }
}

/** Text of faults in the order given, with a code frame each, a blank line between. */
export const renderDiagnostics = (diagnostics: readonly Diagnostic[], options: FrameOptions = {}): string =>
  diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, options)).join('\n\n');

function renderDiagnostic(diagnostic: Diagnostic, options: FrameOptions): string {
  const facts = gotAgainstWanted(diagnostic);
  const frame = diagnostic.loc === undefined ? [] : codeFrame(diagnostic.loc, facts, options);
  const shownInFrame = frame.length > 1;
  return [
    `error ${diagnostic.code}: ${diagnostic.message}`,
    ...frame,
    ...(facts !== '' && !shownInFrame ? [`  ${facts}`] : []),
    ...(diagnostic.hint === undefined ? [] : [`  help: ${diagnostic.hint}`]),
  ].join('\n');
}

/** `--> file:line:column`, the line at fault between its neighbours, and a caret with a note below the column. */
function codeFrame(place: Place, note: string, { source, path = (file) => file }: FrameOptions): string[] {
  const head = `  --> ${path(place.file)}:${place.line}:${place.column}`;
  const lines = source?.(place.file)?.split(/\r?\n/);
  const at = lines?.[place.line - 1];
  if (lines === undefined || at === undefined) return [head];
  const width = String(place.line + 1).length;
  const numbered = (line: number, text: string) => `  ${String(line).padStart(width)} | ${text}`.trimEnd();
  // Tabs stay tabs, so that the caret stands below its column whatever their width.
  const indent = at.slice(0, place.column - 1).replace(/[^\t]/g, ' ');
  const before = lines[place.line - 2];
  const after = lines[place.line];
  return [
    head,
    ...(before?.trim() ? [numbered(place.line - 1, before)] : []),
    numbered(place.line, at),
    `  ${' '.repeat(width)} | ${indent}^ ${note}`.trimEnd(),
    ...(after?.trim() ? [numbered(place.line + 1, after)] : []),
  ];
}

function gotAgainstWanted({ got, wanted }: Diagnostic): string {
  const facts = [got === undefined ? '' : `got ${got}`, wanted === undefined ? '' : `wanted ${wanted}`];
  return facts.filter((fact) => fact !== '').join(', ');
}

function summary(model: string, diagnostics: readonly Diagnostic[]): string {
  const faults = diagnostics.map((d) => {
    const place = d.loc === undefined ? '' : ` (${d.loc.file}:${d.loc.line}:${d.loc.column})`;
    return `  ${d.code}: ${d.message}${place}`;
  });
  const count = faults.length === 1 ? 'an error' : `${faults.length} errors`;
  return [`model "${model}" has ${count}`, ...faults].join('\n');
}
