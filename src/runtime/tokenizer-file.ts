// Tokenizers of tokenizer.json, as the tokenizers library writes it: any vocabulary, merges, normaliser and decoder that it can say.

import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  tokenizerNotFound,
  tokenizerNotJson,
  tokenizerTooLarge,
  tokenizerUnreadable,
  tokenizerUnsupported,
} from '../support/errors/tokenizer.ts';
import { createTokenStream } from './token-stream.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Bytes of a file; the largest vocabularies in use take a tenth of it. */
const mostBytes = 256 * 2 ** 20;

/** Tokens before a text that bear on it: the bytes of a character, or a word that a space stands behind. */
const mostBefore = 8;

/** What text is tried on a tokenizer when it is loaded: parts that it cannot run show at once. */
const trial = 'A b, 1é.\n';

/**
 * Reads a tokenizer.json, or the one of a folder, with what lies beside it: tokenizer_config.json and the end tokens of
 * generation_config.json. Text is encoded with the special tokens that the file's post-processor adds; special tokens that text spells
 * out become those tokens. Characters that a vocabulary without an unknown token lacks are left out.
 * @throws UltramemError tokenizer-not-found, -unreadable, -too-large, -not-json, -unsupported
 */
export async function loadTokenizer(source: string | URL): Promise<Tokenizer> {
  const path = await locate(source instanceof URL ? fileURLToPath(source) : source);
  const stated = asObject(await readJson(path));
  const beside = async (name: string): Promise<JsonObject> => asObject(await readIfThere(join(dirname(path), name)));
  const config = await beside('tokenizer_config.json');
  const { eos_token_id } = await beside('generation_config.json');
  // Loaded only here: a model of bytes does without.
  const library = await import('@huggingface/tokenizers');
  try {
    const tokenizer = new library.Tokenizer(stated, config);
    const vocabulary = tokenizer.model!.tokens_to_ids;
    const special = new Set((stated.added_tokens as AddedToken[]).filter((token) => token.special).map(({ id }) => id));
    const below = boundOf(vocabulary, special);
    const isText = (id: number): boolean => !special.has(id) && tokenizer.id_to_token(id) !== undefined;
    const decode = (ids: readonly number[]): string =>
      ids.length === 0 ? '' : tokenizer.decode([...ids], { clean_up_tokenization_spaces: false });
    const loaded: Tokenizer = {
      encode(text) {
        const encoding = tokenizer.encode(
          typeof text === 'string' ? text : new TextDecoder('utf-8', { ignoreBOM: true }).decode(text),
        );
        const ids: readonly (number | undefined)[] = encoding.ids;
        return Int32Array.from(ids.filter((id) => id !== undefined));
      },
      decode: (ids) => decode([...ids].filter(isText)),
      stream(after = []) {
        const stream = createTokenStream(decode);
        for (const id of Array.from(after).filter(isText).slice(-mostBefore)) stream.push(id);
        return { push: (id) => (isText(id) ? stream.push(id) : ''), end: stream.end };
      },
      eos: endTokens(config.eos_token, eos_token_id, vocabulary),
      below,
    };
    loaded.decode(loaded.encode(trial));
    return loaded;
  } catch (cause) {
    throw tokenizerUnsupported(path, (cause as Error).message, cause);
  }
}

type JsonObject = Readonly<Record<string, unknown>>;

interface AddedToken {
  readonly id: number;
  readonly special?: boolean;
}

const asObject = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null ? (value as JsonObject) : {};

/** The bound of ids that are not special. Throws where an id is none. */
function boundOf(vocabulary: ReadonlyMap<string, number>, special: ReadonlySet<number>): number {
  let below = 0;
  for (const [token, id] of vocabulary) {
    if (!(Number.isInteger(id) && id >= 0 && id < 2 ** 31)) {
      throw new RangeError(`the id of ${JSON.stringify(token)} is ${JSON.stringify(id)}`);
    }
    if (!special.has(id)) below = Math.max(below, id + 1);
  }
  return below;
}

/** The token named by tokenizer_config.json, as text or as an object with its content, and the ids of generation_config.json. */
function endTokens(token: unknown, ids: unknown, vocabulary: ReadonlyMap<string, number>): readonly number[] {
  const content = typeof token === 'string' ? token : asObject(token).content;
  const named = vocabulary.get(String(content));
  const stated = [ids].flat().filter((id): id is number => Number.isSafeInteger(id));
  return [...new Set(named === undefined ? stated : [named, ...stated])];
}

/** The file itself, or tokenizer.json in the folder. */
async function locate(path: string): Promise<string> {
  return (await statOf(path)).isDirectory() ? join(path, 'tokenizer.json') : path;
}

async function readIfThere(path: string): Promise<unknown> {
  return readJson(path).catch((error) => {
    if (error.code === 'tokenizer-not-found') return undefined;
    throw error;
  });
}

async function readJson(path: string): Promise<unknown> {
  const found = await statOf(path);
  if (!found.isFile()) throw tokenizerUnreadable(path, 'it is no file');
  if (found.size > mostBytes) throw tokenizerTooLarge(path, found.size, mostBytes);
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw tokenizerUnreadable(path, cause.message, cause);
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw tokenizerNotJson(path, cause);
  }
}

function statOf(path: string): Promise<Stats> {
  return stat(path).catch((cause) => {
    throw cause.code === 'ENOENT' ? tokenizerNotFound(path, cause) : tokenizerUnreadable(path, cause.message, cause);
  });
}
