// How a long call tells what it is at.

/** What a long call is at, and how much of its work is done. */
export interface Progress {
  /** For people: `compiling`, `reading weights`. */
  readonly stage: string;
  /** Of `total`, in whatever the call counts; never less than it was before. Both are absent where nobody knows. */
  readonly done?: number;
  readonly total?: number;
}

export type OnProgress = (progress: Progress) => void;
