// Faults of a model file that stop it at once; those that tracing collects are diagnostics, made where they are found.

import { UltramemError } from '../errors.ts';
import { didYouMean } from '../suggest.ts';

/** A configuration that a preset cannot build: an unknown key, a value it does not support, or values that contradict. */
export const badConfig = (key: string, message: string, hint?: string): UltramemError =>
  new UltramemError('bad-config', `config "${key}": ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { key },
  });

/** A word of the DSL used while no model is being traced. */
export const outsideModel = (word: string): UltramemError =>
  new UltramemError('outside-model', `${word} was called outside a model`, {
    hint: "words work on tensors of the model being traced: call them inside model('name', (m) => { … })",
    details: { word },
  });

/** A config key that the preset does not know. */
export const unknownConfig = (key: string, known: Iterable<string>): UltramemError =>
  new UltramemError('unknown-config', `config key "${key}" is unknown`, {
    hint: `Remove it, or correct its name.${didYouMean(key, known)}`,
    details: { key },
  });
