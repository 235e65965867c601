// Errors of sessions: calls, inputs, sequences, generation. Sorted by code.

import { UltramemError } from '../errors.ts';

export const aborted = (what: string, cause?: unknown) =>
  new UltramemError('aborted', `${what} was aborted`, cause === undefined ? {} : { cause });

export const addonIncompatible = (path: string, got: unknown, wanted: number) =>
  new UltramemError(
    'addon-incompatible',
    `${path} speaks version ${String(got)} of the addon interface, not ${wanted}`,
    {
      hint: 'It was built by another version of ultramem; compile the model again.',
      details: { path, got, wanted },
    },
  );

export const addonNotFound = (path: string, cause: unknown) =>
  new UltramemError('addon-not-found', `the model's native addon is missing: ${path}`, {
    hint: 'Build the model with `npx ultramem compile`; binaries are not committed.',
    cause,
    details: { path },
  });

export const addonUnloadable = (path: string, cause: unknown) =>
  new UltramemError('addon-unloadable', `${path} cannot be loaded: ${(cause as Error).message}`, {
    hint: 'It may have been built for another machine or Node version; compile the model again here.',
    cause,
    details: { path },
  });

export const cannotObserve = (what: string, where: string, cause?: unknown) =>
  new UltramemError('cannot-observe', `${where}: ${what}`, {
    hint: 'Compile the model for the target simt.',
    cause,
    details: { where },
  });

export const disposed = (what: string) => new UltramemError('disposed', `${what} is disposed`);

export const inputInvalid = (name: string, what: string, details: Record<string, unknown> = {}) =>
  new UltramemError('input-invalid', `input "${name}" ${what}`, { details: { name, ...details } });

export const inputMissing = (name: string, wanted: string) =>
  new UltramemError('input-missing', `input "${name}" : ${wanted} is missing`, { details: { name, wanted } });

export const inputUnknown = (name: string, didYouMean: string) =>
  new UltramemError('input-unknown', `the model has no input "${name}".${didYouMean}`, { details: { name } });

export const inputValueRange = (name: string, index: number, value: number, below: number) =>
  new UltramemError('input-value-range', `input "${name}" holds ${value} at ${index}; it must lie in [0, ${below})`, {
    details: { name, index, value, below },
  });

export const outputInvalid = (name: string, what: string) =>
  new UltramemError('output-invalid', `output "${name}" ${what}`, { details: { name } });

export const noFreeSequence = (count: number) =>
  new UltramemError('no-free-sequence', `all ${count} sequences of the session are in use`, {
    hint: 'Free one, or load with a larger maxSequences.',
    details: { count },
  });

export const notALanguageModel = (model: string) =>
  new UltramemError('not-a-language-model', `${model} cannot generate: it has no ids, positions, sequence and logits`, {
    hint: 'Use forward.',
    details: { model },
  });

export const optionInvalid = (name: string, value: unknown, wanted: string) =>
  new UltramemError('option-invalid', `${name} is ${String(value)}; it must be ${wanted}`, {
    details: { name, wanted },
  });

/** `what`: what would take `wanted` bytes; `ways`: how it could do with less. */
export const memoryTooSmall = (
  what: string,
  wanted: number,
  room: { readonly bytes: number; readonly limit: string },
  ways: string,
) =>
  new UltramemError(
    'out-of-memory',
    `${what} takes ${mebibytes(wanted)} of memory, and ${mebibytes(room.bytes)} are left (${room.limit})`,
    {
      hint: `${ways}, or run where there is more memory.`,
      details: { wanted, available: room.bytes, limit: room.limit },
    },
  );

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en-US')} MiB`;

export const outOfMemory = (message: string, cause?: unknown) =>
  new UltramemError('out-of-memory', message, {
    hint: 'Lower maxSequences or the model’s context, or run where there is more memory.',
    cause,
  });

export const positionGap = (sequence: number, position: number, length: number, rewindable: boolean) =>
  new UltramemError(
    'position-gap',
    `sequence ${sequence} holds ${length} tokens; a step cannot begin at position ${position}`,
    {
      hint: rewindable
        ? `Begin at a position from 0 to ${length}.`
        : `Begin at ${length} to go on, or at 0 to start again: this model keeps only a window of the latest tokens.`,
      details: { sequence, position, length },
    },
  );

export const positionPastCache = (position: number, context: number) =>
  new UltramemError('position-past-cache', `position ${position} is past the cache of ${context} tokens`, {
    hint: `The model was compiled for a context of ${context}.`,
    details: { position, context },
  });

export const promptTooLong = (tokens: number, context: number) =>
  new UltramemError('prompt-too-long', `the prompt has ${tokens} tokens; the cache holds ${context}`, {
    hint: 'Shorten the prompt, or compile the model with a larger context.',
    details: { tokens, context },
  });

export const promptEmpty = () =>
  new UltramemError('prompt-empty', 'the prompt has no token and the model puts none before it', {
    hint: 'Give at least one token.',
  });

export const sequenceBusy = (sequence: number) =>
  new UltramemError('sequence-busy', `another call of generate continues sequence ${sequence}`, {
    hint: 'Wait until that has ended, or take another with session.sequences.allocate().',
    details: { sequence },
  });

export const sequenceNotInUse = (sequence: number) =>
  new UltramemError('sequence-not-in-use', `sequence ${sequence} is not allocated`, {
    hint: 'Take one with session.sequences.allocate().',
    details: { sequence },
  });

export const stepFailed = (message: string, cause: unknown) => new UltramemError('step-failed', message, { cause });

export const symbolOutOfRange = (symbol: string, value: unknown, bound: number) =>
  new UltramemError('symbol-out-of-range', `${symbol} is ${String(value)}; it must be an integer from 1 to ${bound}`, {
    details: { symbol, value, bound },
  });

export const tokenOutOfRange = (index: number, token: number, vocab: number) =>
  new UltramemError('token-out-of-range', `token ${token} at ${index} is not in the vocabulary of ${vocab}`, {
    details: { index, token, vocab },
  });

export const tokensNotAdjacent = (sequence: number, index: number, what: string) =>
  new UltramemError('tokens-not-adjacent', `sequence ${sequence} at token ${index}: ${what}`, {
    hint: 'In a step, tokens of one sequence stand side by side with consecutive positions.',
    details: { sequence, index },
  });

export const tooManyTokens = (symbol: string, tokens: number, bound: number) =>
  new UltramemError('too-many-tokens', `a step of ${tokens} tokens; the model takes at most ${bound}`, {
    hint: 'Split the step.',
    details: { symbol, tokens, bound },
  });

/** A kernel broke a rule of the device while it ran under the checks of the simt target. `place`: the line of the model. */
export const kernelFinding = (finding: string, place: string, cause: unknown) =>
  new UltramemError('kernel-finding', `a kernel broke a rule: ${finding}`, {
    hint: `This is a bug in ultramem${place === '' ? '' : `, in what it emits for ${place}`}. Please report it with the model file.`,
    cause,
    details: { finding, place },
  });
