// The DSL: what a model file imports. Presets are in `ultramem/models`.

export * from './dsl/index.ts';
export { type Diagnostic, DiagnosticsError } from './support/diagnostics.ts';
export type { DType } from './support/dtype.ts';
export { UltramemError } from './support/errors.ts';
