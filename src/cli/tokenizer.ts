// --tokenizer: what the text of a verb goes through on its way to a model and back.

import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Option } from 'commander';
import type { Model } from '../compile.ts';
import type { Tokenizer } from '../runtime/index.ts';
import { optionNeeded } from '../support/errors/cli.ts';
import { notALanguageModel } from '../support/errors/session.ts';

export const tokenizerOption = (): Option =>
  new Option(
    '--tokenizer <path>',
    "tokenizer.json, or a folder with one (default: the model's own bytes, else tokenizer.json beside the weights)",
  );

/**
 * The tokenizer that is named, else none where the model has its own, else the one beside the weights. It fits the model: that shows
 * before the model is compiled.
 */
export async function findTokenizer(
  model: Model,
  weights: string,
  named: string | undefined,
): Promise<Tokenizer | undefined> {
  if (named === undefined && model.meta.tokenizer !== undefined) return undefined;
  const { chooseTokenizer, isLanguageModel, loadTokenizer } = await import('../runtime/index.ts');
  const { describeModel } = await import('../open-model.ts');
  const description = describeModel(model);
  if (!isLanguageModel(description)) throw notALanguageModel(model.name);
  const path = named ?? join(folderOf(weights), 'tokenizer.json');
  if (named !== undefined || existsSync(path)) return chooseTokenizer(description, await loadTokenizer(path));
  throw optionNeeded(
    '--tokenizer',
    `${model.name} states no tokenizer of its own, and there is no ${path}`,
    'Give the tokenizer.json that the model was trained with, or a folder that holds it.',
  );
}

/** Of weights: a folder itself, or that of a file. */
const folderOf = (weights: string): string =>
  statSync(weights, { throwIfNoEntry: false })?.isDirectory() ? weights : dirname(weights);
