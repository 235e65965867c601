// Small tokenizers of each kind, made here: merges are learnt from a few lines of text, as a trainer would.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Json = Readonly<Record<string, unknown>>;

export interface TokenizerFiles {
  readonly 'tokenizer.json': Json;
  readonly 'tokenizer_config.json'?: Json;
  readonly 'generation_config.json'?: Json;
}

/** Writes the files into the folder, and gives its path. */
export function writeTokenizer(folder: string, files: TokenizerFiles): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), JSON.stringify(content));
  return folder;
}

const lines = [
  'In the beginning God created the heaven and the earth.',
  'And the earth was without form, and void; and darkness was upon the face of the deep.',
  'Größe, naïve café — “señor”, 10 € and 20 £',
  '天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。',
  'смерть и жизнь, שלום, नमस्ते, สวัสดี',
  '👩‍👩‍👧‍👦 👍🏽 🇨🇭 e\u0301 z\u0323\u0302',
];

/** The character that stands for each byte in byte-level vocabularies: itself where it can be seen, else one past U+0100. */
const byteCharacters: readonly string[] = (() => {
  const seen = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(seen(byte) ? byte : 256 + hidden++));
})();

const asBytes = (text: string): string[] => [...new TextEncoder().encode(text)].map((byte) => byteCharacters[byte]!);

/** The most frequent pairs, one after the other. */
function learnMerges(words: string[][], count: number): [string, string][] {
  const merges: [string, string][] = [];
  while (merges.length < count) {
    const pairs = new Map<string, [string, string, number]>();
    for (const word of words) {
      for (let i = 1; i < word.length; i++) {
        const key = `${word[i - 1]}\0${word[i]}`;
        pairs.set(key, [word[i - 1]!, word[i]!, (pairs.get(key)?.[2] ?? 0) + 1]);
      }
    }
    const best = [...pairs.values()].sort((a, b) => b[2] - a[2] || (a[0] + a[1] < b[0] + b[1] ? -1 : 1))[0];
    if (best === undefined) break;
    const [left, right] = best;
    merges.push([left, right]);
    words = words.map((word) => {
      const merged: string[] = [];
      for (let i = 0; i < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) merged.push(left + word[++i]!);
        else merged.push(word[i]!);
      }
      return merged;
    });
  }
  return merges;
}

const numbered = (tokens: Iterable<string>): Record<string, number> =>
  Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id]));

const added = (id: number, content: string, special = true): Json => ({
  ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false },
  special,
});

const template = (before: readonly [string, number][], after: readonly [string, number][] = []): Json => {
  const piece = ([id]: readonly [string, number]): Json => ({ SpecialToken: { id, type_id: 0 } });
  const single = [...before.map(piece), { Sequence: { id: 'A', type_id: 0 } }, ...after.map(piece)];
  const special = [...before, ...after].map(([token, id]) => [token, { id: token, ids: [id], tokens: [token] }]);
  return { type: 'TemplateProcessing', single, pair: single, special_tokens: Object.fromEntries(special) };
};

const bpe = (vocab: Json, merges: readonly [string, string][], more: Json = {}): Json => ({
  ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
  ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges, ...more },
});

const byteLevelParts = {
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  normalizer: null,
};

/** Byte-level pairs, with tokens that end within a character, a begin token, two end tokens, and an added token that is text. */
export function byteLevel(): TokenizerFiles {
  const merges = learnMerges(
    lines.flatMap((line) => line.match(/ ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+/gu) ?? []).map(asBytes),
    220,
  );
  const vocab = numbered([...byteCharacters].sort().concat(merges.map(([left, right]) => left + right)));
  const next = Object.keys(vocab).length;
  return {
    'tokenizer.json': {
      version: '1.0',
      added_tokens: [added(next, '<|begin|>'), added(next + 1, '<|end|>'), added(next + 2, '<tool>', false)],
      ...byteLevelParts,
      post_processor: template([['<|begin|>', next]]),
      model: bpe(vocab, merges),
    },
    'tokenizer_config.json': { bos_token: '<|begin|>', eos_token: { content: '<|end|>', special: true } },
    'generation_config.json': { eos_token_id: [next + 1, 0] },
  };
}

/** Every byte is the token of its number, and 256 begins a text: what models of raw bytes read. */
export function bytesInOrder(): TokenizerFiles {
  return {
    'tokenizer.json': {
      version: '1.0',
      added_tokens: [added(256, '<|begin|>')],
      ...byteLevelParts,
      post_processor: template([['<|begin|>', 256]]),
      model: bpe(numbered(byteCharacters), []),
    },
  };
}

/** Pairs of characters, spaces as ▁ with one in front, and bytes for characters that are not in the vocabulary. */
export function byteFallback(): TokenizerFiles {
  const words = lines.slice(0, 4).map((line) => [...`▁${line.replaceAll(' ', '▁')}`]);
  const merges = learnMerges(words, 120);
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const vocab = numbered(
    ['<unk>', '<s>', '</s>', ...bytes, ...words.flat()].concat(merges.map(([left, right]) => left + right)),
  );
  const space = { pattern: { String: ' ' }, content: '▁' };
  return {
    'tokenizer.json': {
      version: '1.0',
      added_tokens: ['<unk>', '<s>', '</s>'].map((token, id) => added(id, token)),
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', ...space },
        ],
      },
      pre_tokenizer: null,
      post_processor: template([['<s>', 1]]),
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: bpe(vocab, merges, { unk_token: '<unk>', fuse_unk: true, byte_fallback: true }),
    },
    'tokenizer_config.json': { eos_token: '</s>' },
  };
}

/** Words and their parts, in lower case, with spaces between and none before punctuation. */
export function wordPiece(): TokenizerFiles {
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]'];
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789.,;:!?\'"-';
  const vocab = numbered([
    ...special,
    ...letters,
    ...[...letters].map((letter) => `##${letter}`),
    ...['the', 'and', '##ing', '##ed', 'heaven', 'earth', 'was', "n't", '##', '天', '地'],
  ]);
  return {
    'tokenizer.json': {
      version: '1.0',
      added_tokens: special.map((token, id) => added(id, token)),
      normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: template([['[CLS]', 2]], [['[SEP]', 3]]),
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', vocab },
    },
  };
}

/** A unigram vocabulary whose spaces are ▁, without bytes: what it lacks is unknown. */
export function unigram(): TokenizerFiles {
  const pieces = ['▁', '▁the', '▁and', '▁a', 'ing', 'ed', '▁▁', ...'abcdefghijklmnopqrstuvwxyz.,'];
  return {
    'tokenizer.json': {
      version: '1.0',
      added_tokens: [added(0, '</s>'), added(1, '<unk>')],
      normalizer: null,
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', add_prefix_space: true, prepend_scheme: 'always' },
      post_processor: template([], [['</s>', 0]]),
      decoder: { type: 'Metaspace', replacement: '▁', add_prefix_space: true, prepend_scheme: 'always' },
      model: {
        type: 'Unigram',
        unk_id: 1,
        vocab: ['</s>', '<unk>', ...pieces].map((piece, i) => [piece, i < 2 ? 0 : -2 - i / 8]),
      },
    },
    'tokenizer_config.json': { eos_token: '</s>' },
  };
}
