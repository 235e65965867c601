// Tokens per second of 1, 4 and 16 calls of generate at the same time on one session, beside the same calls one after another; and how
// long a call waits for its first token.

import { benchTexts, type TextsBench } from 'ultramem/profile';
import { bytesLm, decoder151m } from '../decoders.ts';
import { rounded, table } from '../figures.ts';
import type { Measured, Settings } from '../settings.ts';

export interface GenerationResults {
  readonly models: readonly TextsBench[];
}

const TEXTS = [1, 4, 16] as const;
/** A round of the large decoder takes half a minute. */
const LARGE_ROUNDS = 3;

/** @throws what compiling and loading throw */
export async function measureGeneration(settings: Settings): Promise<Measured<GenerationResults>> {
  const { threads, rounds, progress } = settings;
  const measure = async (
    { model, weights }: Awaited<ReturnType<typeof bytesLm>>,
    options: Partial<Parameters<typeof benchTexts>[1]>,
  ): Promise<TextsBench> => {
    progress(model.name);
    return benchTexts(model, { texts: TEXTS, weights, threads, rounds, ...options });
  };
  const large = { precision: 'bf16', rounds: Math.min(rounds, LARGE_ROUNDS), continued: 16 } as const;
  const models = [await measure(await bytesLm(), {}), await measure(await decoder151m(progress), large)];
  return { markdown: text(models), results: { models } };
}

function text(models: readonly TextsBench[]): string {
  const head = ['model', 'precision', 'prompt', 'continued by', 'threads', 'texts', 'tokens per second', 'one by one'];
  const rows = models.flatMap(({ model, precision, prompt, continued, texts }) =>
    texts
      .filter(({ calls }) => calls === 'at once')
      .map((together) => {
        const { threads, texts: count, tokensPerSecond, first, latest } = together;
        const apart = texts.find(
          (kind) => kind.threads === threads && kind.texts === count && kind.calls !== 'at once',
        );
        const ratio = apart === undefined ? 1 : tokensPerSecond / apart.tokensPerSecond;
        return [
          ...[model, precision, `${prompt}`, `${continued}`, `${threads}`, `${count}`],
          ...[tokensPerSecond, (apart ?? together).tokensPerSecond, ratio, first, latest].map(rounded),
        ];
      }),
  );
  return table([...head, 'ratio', 'first token, ms', 'latest, ms'], rows, ['model', 'precision']);
}
