// Text to ids and back: what every tokenizer can do.

/** Text to ids and back, whole or token by token. */
export interface Tokenizer {
  /** Ids of the text, with the begin token before them where there is one. Bytes are taken for UTF-8. */
  encode(text: string | Uint8Array): Int32Array;
  /** Special tokens, and ids that no token has, stand for no text. */
  decode(ids: Iterable<number>): string;
  /** A decoder for one growing text, or for what grows behind the tokens `after`, such as those of a prompt: a space between comes with it. */
  stream(after?: ArrayLike<number>): TokenStream;
  /** Ids that end a text. */
  readonly eos: readonly number[];
  /** The ids of all tokens that are not special are less than this. */
  readonly below: number;
}

/** Pieces in the order of their tokens, `end()` last, make up what `decode` gives for all ids at once, but for the text of those before. */
export interface TokenStream {
  /** Text that the token makes certain; empty in the middle of a character. */
  push(id: number): string;
  /** What is left of an unfinished character, as U+FFFD. */
  end(): string;
}
