// A decoder with UltraMem memories from a configuration of the reference implementation.
//
//   npx ultramem compile examples/language-model.ts --config config.json

import { type Model, model } from 'ultramem';
import { decoder, decoderFromConfig } from 'ultramem/models';

type Meta = Model['meta'];

/**
 * `config` holds the model's keys (`d_model`, `n_heads`, `mem_insert_way` …), or has them under `config` or, beside a `tokenizer`,
 * under `model`. Keys that only matter in training are ignored.
 */
export default function languageModel(config: unknown): Model {
  const given = (config ?? {}) as { name?: string; config?: unknown; model?: unknown; tokenizer?: Tokenizer };
  const name = (given.name ?? 'language-model').replaceAll('_', '-');
  const options = decoderFromConfig(given.model ?? given.config ?? config);
  return model(name, (m) => decoder(m, options), tokenizerMeta(given.tokenizer));
}

/** Raw bytes are a tokenizer that a model can state; others lie beside the weights, as tokenizer.json. */
interface Tokenizer {
  readonly kind: string;
  readonly bos_id: number | null;
  readonly eos_id: number | null;
}

function tokenizerMeta(tokenizer: Tokenizer | undefined): Meta {
  if (tokenizer?.kind !== 'raw bytes') return {};
  const { bos_id, eos_id } = tokenizer;
  return { tokenizer: { kind: 'bytes', bos: bos_id, eos: eos_id === null ? [] : [eos_id] } };
}
