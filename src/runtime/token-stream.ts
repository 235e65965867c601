// Text from tokens as they come, for any decoder: what is certain is given at once, at a cost that does not grow with the text.

import type { TokenStream } from './tokenizer.ts';

/** Tokens in a row that may leave the text as it is; decoders that look further back or ahead than this are not known. */
const mostIdle = 8;

/**
 * A stream whose pieces make up `decode` of all ids. Decodes a short window of the last tokens, and gives by how much its text grew.
 *
 * Held back is what a later token may still change: one U+FFFD at the end, which may be the beginning of a character, or half a surrogate
 * pair. A window may begin anew at a token that changed the text: a character that was awaited before it is complete or broken off
 * then, so that what is awaited behind it is the same with or without the tokens before it. It does so once its own text is certain in
 * part, since by then a decoder has dropped what it drops at the beginning of a text (a space, a byte order mark).
 */
export function createTokenStream(decode: (ids: readonly number[]) => string): TokenStream {
  let window: number[] = [];
  let text = ''; // of the window
  let given = 0; // of it
  let idle = 0; // tokens in a row that changed nothing
  let next: number | undefined; // where in the window another may begin
  return {
    push(id) {
      const before = text;
      window.push(id);
      text = decode(window);
      idle = text === before ? idle + 1 : 0;
      if (idle > mostIdle) window.pop();
      const certain = Math.max(given, certainLength(text));
      const piece = text.slice(given, certain);
      given = certain;
      if (text !== before && window.length > 1) next ??= window.length - 1;
      if (next === undefined) return piece;
      const rest = decode(window.slice(next));
      if (certainLength(rest) > 0) {
        given += rest.length - text.length; // both end alike
        text = rest;
        window = window.slice(next);
        next = undefined;
      }
      return piece;
    },
    end() {
      const rest = text.slice(given);
      given = text.length;
      return rest;
    },
  };
}

const certainLength = (text: string): number => (/[\ufffd\ud800-\udbff]$/.test(text) ? text.length - 1 : text.length);
