// The generations of one request, each in its turn, as one stream of parts.

import type { GeneratedToken } from 'ultramem/runtime';
import type { Line, Turn } from './line.ts';

/** A token of one choice. */
export interface Part extends GeneratedToken {
  /** Index of the choice. */
  readonly choice: number;
}

export type Tokens = AsyncGenerator<GeneratedToken, unknown>;

/**
 * Runs generations side by side; their places in the line are taken at once, before anything is iterated. A generation goes on only when
 * its last part has been taken, so a reader that is slow slows its own alone.
 * @param signal ends all of them, with its reason
 * @throws ApiError 429; while iterating what generations throw, or the reason of the signal
 */
export function generations(line: Line, choices: readonly Tokens[], signal: AbortSignal): AsyncGenerator<Part, void> {
  const turns = line.join(choices.length, signal);
  const sources = choices.map((tokens, choice) => inTurn(tokens, choice, turns[choice]!, signal));
  return merge(sources, () => {
    for (const turn of turns) turn.giveUp();
  });
}

async function* inTurn(tokens: Tokens, choice: number, turn: Turn, signal: AbortSignal): AsyncGenerator<Part, void> {
  try {
    await turn.come;
    for await (const token of tokens) yield { ...token, choice };
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    turn.leave();
  }
}

type Settled<T> = { readonly source: AsyncGenerator<T> } & (
  | { readonly result: IteratorResult<T> }
  | { readonly error: unknown }
);

/**
 * Values of several generators in the order in which they come, at most one ahead of the reader from each.
 * @param leave called before the generators are returned, however iteration ends: lets go of those that wait for something
 */
export async function* merge<T>(sources: readonly AsyncGenerator<T>[], leave: () => void): AsyncGenerator<T, void> {
  const settled: Settled<T>[] = [];
  let wake = (): void => {};
  const pull = (source: AsyncGenerator<T>): void => {
    const settle = (one: Settled<T>): void => {
      settled.push(one);
      wake();
    };
    source.next().then(
      (result) => settle({ source, result }),
      (error: unknown) => settle({ source, error }),
    );
  };
  try {
    sources.forEach(pull);
    for (let open = sources.length; open > 0; ) {
      const one = settled.shift();
      if (one === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if ('error' in one) throw one.error;
      if (one.result.done) open--;
      else {
        yield one.result.value;
        pull(one.source);
      }
    }
  } finally {
    leave();
    await Promise.allSettled(sources.map((source) => source.return(undefined)));
  }
}
