// What every part of the bench is handed, and what it gives back.

export interface Settings {
  /** Thread counts, each measured on its own. */
  readonly threads: readonly number[];
  /** Tokens of a step, for the parts that time a layer. */
  readonly tokens: readonly number[];
  /** Sequences of the decode steps of headline, and the positions that each of them holds. */
  readonly batches: readonly number[];
  readonly lengths: readonly number[];
  /** Rounds in which all contenders take turns. */
  readonly rounds: number;
  /** Seconds of calls that count, per contender and round. */
  readonly seconds: number;
  /** Tells on stderr what is being done. */
  progress(text: string): void;
}

/** A part's results: a Markdown text for readers, and all figures for programs. */
export interface Measured<Results> {
  readonly markdown: string;
  readonly results: Results;
}
