// Raw bytes as tokens: id = byte; ids from 256 on are special and stand for no text.

import type { TokenizerDescription } from './description.ts';
import type { Tokenizer, TokenStream } from './tokenizer.ts';

/** Bytes of UTF-8. */
const longestCharacter = 4;

/** The tokenizer of models on raw UTF-8 bytes. Bytes that are no UTF-8 decode to U+FFFD. */
export function createByteTokenizer({ bos, eos }: TokenizerDescription): Tokenizer {
  const stream = (after: ArrayLike<number> = []): TokenStream => {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    const push = (id: number): string => (id < 256 ? decoder.decode(Uint8Array.of(id), { stream: true }) : '');
    for (const id of Array.from(after).slice(-longestCharacter)) push(id);
    return { push, end: () => decoder.decode() };
  };
  return {
    encode(text) {
      const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
      return bos === null ? Int32Array.from(bytes) : withFirst(bos, bytes);
    },
    decode: (ids) =>
      new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from([...ids].filter((id) => id < 256))),
    stream,
    eos,
    below: 256,
  };
}

function withFirst(first: number, bytes: Uint8Array): Int32Array {
  const ids = new Int32Array(bytes.length + 1);
  ids[0] = first;
  ids.set(bytes, 1);
  return ids;
}
