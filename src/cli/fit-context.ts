// A text that grew past what a model can hold: its oldest part goes.

export interface FittedText {
  readonly text: string;
  readonly ids: Int32Array;
  /** What was taken from its beginning. */
  readonly dropped: string;
}

/** How far behind a cut the next word may begin. */
const mostToWord = 40;

/** The end of the text that has at most `most` tokens, from the beginning of a word where one is near. */
export function fitContext(text: string, most: number, encode: (text: string) => Int32Array): FittedText {
  let from = 0;
  for (;;) {
    const rest = text.slice(from);
    const ids = encode(rest);
    if (ids.length <= most || rest === '') return { text: rest, ids, dropped: text.slice(0, from) };
    // The share of the text that is too much; tokens are about as long everywhere.
    from += Math.ceil((rest.length * (ids.length - most)) / ids.length);
    const withinWord = !/\s/.test(text[from - 1] ?? '');
    if (withinWord) from += /^\S*\s+/.exec(text.slice(from, from + mostToWord))?.[0].length ?? 0;
    if (/^[\udc00-\udfff]/.test(text.slice(from, from + 1))) from++;
  }
}
