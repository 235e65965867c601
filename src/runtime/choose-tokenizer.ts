// The tokenizer that a model's text goes through: the one given, else the model's own.

import { tokenizerMisfit } from '../support/errors/tokenizer.ts';
import { boundOf, type ModelDescription } from './description.ts';
import type { Tokenizer } from './tokenizer.ts';
import { createByteTokenizer } from './tokenizer-bytes.ts';

/**
 * Undefined where there is none: such a model takes ids.
 * @throws UltramemError tokenizer-misfit where text may become ids that the model does not have
 */
export function chooseTokenizer(model: ModelDescription, given: Tokenizer | undefined): Tokenizer | undefined {
  if (given === undefined) return model.tokenizer && createByteTokenizer(model.tokenizer);
  const vocab = boundOf(model, 'ids');
  if (given.below > vocab) throw tokenizerMisfit(model.name, given.below, vocab);
  return given;
}
