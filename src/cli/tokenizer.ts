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

/** The tokenizer that is named, else none where the model has its own, else the one beside the weights. */
export async function findTokenizer(
  model: Model,
  weights: string,
  named: string | undefined,
): Promise<Tokenizer | undefined> {
  if (named === undefined && model.meta.tokenizer !== undefined) return undefined;
  const { isLanguageModel, loadTokenizer } = await import('../runtime/index.ts');
  if (named !== undefined) return loadTokenizer(named);
  const folder = statSync(weights, { throwIfNoEntry: false })?.isDirectory() ? weights : dirname(weights);
  const beside = join(folder, 'tokenizer.json');
  if (existsSync(beside)) return loadTokenizer(beside);
  const { describeModel } = await import('../open-model.ts');
  if (!isLanguageModel(describeModel(model))) throw notALanguageModel(model.name);
  throw optionNeeded(
    '--tokenizer',
    `${model.name} states no tokenizer of its own, and there is no ${beside}`,
    'Give the tokenizer.json that the model was trained with, or a folder that holds it.',
  );
}
