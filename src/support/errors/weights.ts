// Errors of weight files and of weights against the model. Sorted by code.

import { UltramemError } from '../errors.ts';

/** What does not fit between a checkpoint and a model. */
export interface WeightsMismatch {
  readonly missing: readonly {
    readonly name: string;
    readonly type: string;
    readonly didYouMean: string | undefined;
  }[];
  readonly extra: readonly string[];
  readonly misshapen: readonly { readonly name: string; readonly got: string; readonly wanted: string }[];
  readonly wrongDtype: readonly { readonly name: string; readonly got: string; readonly wanted: string }[];
}

const list = (title: string, lines: readonly string[]): string[] => {
  const shown = lines.slice(0, 12).map((line) => `    ${line}`);
  if (lines.length > shown.length) shown.push(`    … and ${lines.length - shown.length} more`);
  return lines.length === 0 ? [] : [`  ${title}:`, ...shown];
};

export const safetensorsDtypeUnknown = (path: string, name: string, dtype: string, known: readonly string[]) =>
  new UltramemError('safetensors-dtype-unknown', `${path}: tensor "${name}" has the unknown dtype ${dtype}`, {
    hint: `Known dtypes: ${known.join(', ')}.`,
    details: { path, name, dtype },
  });

export const safetensorsDuplicateName = (path: string, name: string) =>
  new UltramemError('safetensors-duplicate-name', `${path}: the header names "${name}" twice`, {
    hint: 'The file is damaged or was made by a faulty writer; write it again.',
    details: { path, name },
  });

export const safetensorsGap = (path: string, name: string, from: number, to: number) =>
  new UltramemError(
    'safetensors-gap',
    `${path}: bytes ${from}..${to} of the data belong to no tensor${name === '' ? '' : ` (before "${name}")`}`,
    {
      hint: 'The format allows no holes; the file is damaged or longer than it should be.',
      details: { path, name, from, to },
    },
  );

export const safetensorsHeaderInvalid = (path: string, what: string, cause?: unknown) =>
  new UltramemError('safetensors-header-invalid', `${path}: not a safetensors header: ${what}`, {
    hint: 'Check that this is a .safetensors file, completely downloaded.',
    cause,
    details: { path },
  });

export const safetensorsHeaderTooLarge = (path: string, bytes: bigint, limit: number) =>
  new UltramemError(
    'safetensors-header-too-large',
    `${path}: the header claims ${bytes} bytes; the limit is ${limit}`,
    {
      hint: 'Check that this is a .safetensors file: its first 8 bytes are the length of the header.',
      details: { path, bytes: String(bytes), limit },
    },
  );

export const safetensorsOffsetsInvalid = (path: string, name: string, what: string) =>
  new UltramemError('safetensors-offsets-invalid', `${path}: tensor "${name}": ${what}`, {
    hint: 'The file is damaged or not completely downloaded.',
    details: { path, name },
  });

export const safetensorsOverlap = (path: string, name: string, other: string) =>
  new UltramemError('safetensors-overlap', `${path}: tensors "${other}" and "${name}" share bytes`, {
    hint: 'The file is damaged or was made by a faulty writer; write it again.',
    details: { path, name, other },
  });

export const safetensorsShapeInvalid = (path: string, name: string, what: string) =>
  new UltramemError('safetensors-shape-invalid', `${path}: tensor "${name}" has no valid shape: ${what}`, {
    details: { path, name },
  });

export const safetensorsTruncated = (path: string, what: string) =>
  new UltramemError('safetensors-truncated', `${path}: the file ends too early: ${what}`, {
    hint: 'The download or copy stopped half-way; fetch the file again.',
    details: { path },
  });

export const weightsDtypeUnsupported = (path: string, name: string, stored: string, wanted: string | undefined) =>
  new UltramemError(
    'weights-dtype-unsupported',
    `${path}: tensor "${name}" is ${stored}, which cannot be read${wanted === undefined ? '' : ` as ${wanted}`}`,
    {
      hint: 'Readable: F32, F16 and BF16 as f32; I64 and I32 as i64 or i32; F16 and BF16 as they are; I8 and F8_E4M3 with their scales.',
      details: { path, name, stored, wanted },
    },
  );

export const weightsFileChanged = (path: string, what: string) =>
  new UltramemError('weights-file-changed', `${path}: ${what}`, {
    hint:
      'Results from it would be wrong, so every step on these weights ends like this. Restore the file and load it again; ' +
      'replace files by renaming, never by writing into them; `copy: true` loads weights that no change of a file reaches.',
    details: { path },
  });

export const weightsIndexInvalid = (path: string, what: string, cause?: unknown) =>
  new UltramemError('weights-index-invalid', `${path}: not a usable index of weight files: ${what}`, {
    hint: 'An index is JSON with "weight_map": {tensor name: file beside the index}.',
    cause,
    details: { path },
  });

export const weightsMismatch = (source: string, model: string, mismatch: WeightsMismatch) => {
  const lines = [
    `${source}: the weights do not fit the model ${model}`,
    ...list(
      'missing',
      mismatch.missing.map(
        (m) => `${m.name} : ${m.type}${m.didYouMean === undefined ? '' : `   (did you mean "${m.didYouMean}"?)`}`,
      ),
    ),
    ...list(
      'other shape',
      mismatch.misshapen.map((m) => `${m.name} : got ${m.got}, want ${m.wanted}`),
    ),
    ...list(
      'other element type',
      mismatch.wrongDtype.map((m) => `${m.name} : got ${m.got}, want ${m.wanted}`),
    ),
    ...list('not in the model', mismatch.extra),
  ];
  const onlyExtra = mismatch.missing.length + mismatch.misshapen.length + mismatch.wrongDtype.length === 0;
  return new UltramemError('weights-mismatch', lines.join('\n'), {
    hint: onlyExtra
      ? 'Pass allowExtra: true to ignore tensors that the model does not use.'
      : 'Check that the model was built with the configuration of this checkpoint.',
    details: { source, model, ...mismatch },
  });
};

export const weightsNameUnknown = (source: string, name: string, didYouMean: string) =>
  new UltramemError('weights-name-unknown', `${source}: no tensor is named "${name}".${didYouMean}`, {
    details: { source, name },
  });

export const weightsNotFinite = (source: string, name: string, what: string) =>
  new UltramemError('weights-not-finite', `${source}: tensor "${name}" ${what}`, {
    hint: 'Infinity and NaN have no place among scaled bytes; look at how the checkpoint was made.',
    details: { source, name },
  });
/** `wanted`: the element type to store, or the bytes that its place must be a multiple of. */
export const weightsNotInPlace = (path: string, name: string, stored: string, wanted: string | number) =>
  new UltramemError(
    'weights-not-in-place',
    `${path}: tensor "${name}" is to be read in its file, but is ${
      typeof wanted === 'number'
        ? `${stored}, no multiple of ${wanted}`
        : `${stored} there and ${wanted} in the compiled model`
    }`,
    {
      hint:
        wanted === 'f32' && stored === 'bf16'
          ? 'Compile the model with --precision bf16, which reads tables of bf16 as they are.'
          : typeof wanted === 'number'
            ? 'Write the file again with a header whose length is a multiple of 8, as writeSafetensors does.'
            : `Convert the tensor to ${wanted} in the file, compile for the precision it has, or leave out the placement.`,
      details: { path, name, stored, wanted },
    },
  );

export const weightsNotFound = (path: string, cause: unknown) =>
  new UltramemError('weights-not-found', `no weight file at ${path}`, {
    hint: 'Give a .safetensors file, a model.safetensors.index.json, or a folder that holds one of them.',
    cause,
    details: { path },
  });

export const weightsNothingToQuantise = (source: string, names: string) =>
  new UltramemError(
    'weights-nothing-to-quantise',
    `${source}: no tensor of floats is named ${names}, or none is to be quantised`,
    {
      hint: 'Say --tables or --keys int8 or fp8, and with --tensors which tensors; * stands for any text.',
      details: { source, names },
    },
  );

export const weightsQuantisedTwice = (source: string, name: string) =>
  new UltramemError(
    'weights-quantised-twice',
    `${source}: tensor "${name}" has a tensor "${name}.scale" beside it already`,
    {
      hint: 'Quantise the checkpoint that it was made from.',
      details: { source, name },
    },
  );

export const weightsScaleInvalid = (source: string, name: string, what: string) =>
  new UltramemError('weights-scale-invalid', `${source}: the scale of tensor "${name}" ${what}`, {
    hint: 'The file is damaged or was made by a faulty writer; quantise the checkpoint of floats again.',
    details: { source, name },
  });

export const weightsUnreadable = (path: string, what: string, cause?: unknown) =>
  new UltramemError('weights-unreadable', `${path}: cannot be read: ${what}`, { cause, details: { path } });

export const weightsUnwritable = (path: string, cause: unknown) =>
  new UltramemError('weights-unwritable', `${path}: cannot be written: ${(cause as Error).message}`, {
    cause,
    details: { path },
  });

export const weightsValueRange = (source: string, name: string, what: string) =>
  new UltramemError('weights-value-range', `${source}: tensor "${name}" ${what}`, {
    hint: 'The tensor holds indices; the file is damaged or belongs to another configuration.',
    details: { source, name },
  });
