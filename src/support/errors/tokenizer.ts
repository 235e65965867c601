// Errors of tokenizer files, and of tokenizers against the model. Sorted by code.

import { UltramemError } from '../errors.ts';

/** `below`: ids of the tokenizer's text are less than this; `vocab`: those of the model. */
export const tokenizerMisfit = (model: string, below: number, vocab: number) =>
  new UltramemError(
    'tokenizer-misfit',
    `the tokenizer has ids up to ${below - 1}, and ${model} has a vocabulary of ${vocab}`,
    {
      hint: 'It is the tokenizer of another model: give the one that this model was trained with.',
      details: { model, largest: below - 1, vocab },
    },
  );

export const tokenizerNotFound = (path: string, cause: unknown) =>
  new UltramemError('tokenizer-not-found', `there is no tokenizer at ${path}`, {
    hint: 'Give a tokenizer.json, or a folder that holds one. The path is relative to the working directory.',
    cause,
    details: { path },
  });

export const tokenizerNotJson = (path: string, cause: unknown) =>
  new UltramemError('tokenizer-not-json', `${path} is not JSON: ${(cause as Error).message}`, {
    hint: 'It may have been cut short, or be a page or a pointer in place of the file: fetch it again.',
    cause,
    details: { path },
  });

export const tokenizerTooLarge = (path: string, bytes: number, most: number) =>
  new UltramemError('tokenizer-too-large', `${path} has ${bytes} bytes; a tokenizer has at most ${most}`, {
    hint: 'The largest vocabularies take some 30 MB: this is hardly a tokenizer.',
    details: { path, bytes, most },
  });

export const tokenizerUnreadable = (path: string, why: string, cause?: unknown) =>
  new UltramemError('tokenizer-unreadable', `${path} cannot be read: ${why}`, {
    hint: 'It must be a file, or a folder with one, that this user may read.',
    cause,
    details: { path },
  });

/** `why`: what is wrong with what the file says. */
export const tokenizerUnsupported = (path: string, why: string, cause: unknown) =>
  new UltramemError('tokenizer-unsupported', `${path} is no tokenizer that can be used: ${why}`, {
    hint: 'Give the tokenizer.json that the tokenizers library writes (tokenizer.save, or save_pretrained of a fast tokenizer).',
    cause,
    details: { path },
  });
