// tokenizer.json: ids and back, streams that say what decode says, what lies beside the file, and files that are no tokenizers.

import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createByteTokenizer, loadTokenizer, Session, type Tokenizer } from '../../src/runtime/index.ts';
import { createTokenStream } from '../../src/runtime/token-stream.ts';
import { freshFolder } from '../build-folder.ts';
import { rejects } from '../robustness/rejection.ts';
import { seed } from '../settings.ts';
import { languageEngine } from './language-engine.ts';
import {
  byteFallback,
  byteLevel,
  bytesInOrder,
  type Json,
  unigram,
  wordPiece,
  writeTokenizer,
} from './tokenizer-files.ts';

const test = suite('tokenizer');
const folder = freshFolder('tokenizer');
const load = (name: string, files: Parameters<typeof writeTokenizer>[1]): Promise<Tokenizer> =>
  loadTokenizer(writeTokenizer(join(folder, name), files));

const kinds = {
  'byte-level': await load('byte-level', byteLevel()),
  'byte-fallback': await load('byte-fallback', byteFallback()),
  'word-piece': await load('word-piece', wordPiece()),
  unigram: await load('unigram', unigram()),
  bytes: createByteTokenizer({ kind: 'bytes', bos: 256, eos: [] }),
};

const streamed = (tokenizer: Tokenizer, ids: Iterable<number>, after?: ArrayLike<number>): string[] => {
  const stream = tokenizer.stream(after);
  return [...Array.from(ids, (id) => stream.push(id)), stream.end()];
};

const texts = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.string({ unit: 'binary', maxLength: 4 }),
      fc.constantFrom(
        'the heaven',
        ' and',
        '\n\n',
        '   ',
        '天地',
        '👩‍👩‍👧‍👦',
        '🇨🇭',
        'e\u0301',
        '\ufeff',
        '\ufffd',
        ' .',
        " n't",
        '▁',
        "'s",
      ),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

/** Ids of any kind, with bytes of characters that are cut, byte order marks, and ids past the end. */
const idsOf = (tokenizer: Tokenizer) => {
  const parts = ['€', '😀', '\ufeff', 'é', '\ufffd'].map((text) => [...tokenizer.encode(text)]);
  return fc
    .array(
      fc.oneof(
        fc.integer({ min: 0, max: tokenizer.below + 5 }).map((id) => [id]),
        fc.constantFrom(...parts),
      ),
      {
        maxLength: 40,
      },
    )
    .chain((runs) => {
      const ids = runs.flat();
      return fc.subarray(ids, { minLength: Math.floor(ids.length / 2) });
    });
};

for (const [kind, tokenizer] of Object.entries(kinds)) {
  test(`${kind}: a stream of any ids says what decode says`, () => {
    fc.assert(
      fc.property(idsOf(tokenizer), (ids) => assert.is(streamed(tokenizer, ids).join(''), tokenizer.decode(ids))),
      { seed, numRuns: 2000 },
    );
  });

  test(`${kind}: a stream behind other tokens says what comes behind their text`, () => {
    fc.assert(
      fc.property(texts, fc.double({ min: 0, max: 1, noNaN: true }), (text, share) => {
        const ids = tokenizer.encode(text);
        const cut = Math.round(share * ids.length);
        const [before, all] = [tokenizer.decode(ids.subarray(0, cut)), tokenizer.decode(ids)];
        fc.pre(!before.endsWith('\ufffd'));
        assert.is(before + streamed(tokenizer, ids.subarray(cut), ids.subarray(0, cut)).join(''), all);
      }),
      { seed, numRuns: 500 },
    );
  });

  test(`${kind}: a stream of the ids of a text says what decode says, and cuts no character`, () => {
    fc.assert(
      fc.property(texts, (text) => {
        const ids = tokenizer.encode(text);
        const pieces = streamed(tokenizer, ids);
        assert.is(pieces.join(''), tokenizer.decode(ids));
        for (const piece of pieces) assert.is(Buffer.from(piece).toString(), piece, 'half a surrogate pair');
        if (!tokenizer.decode(ids).includes('\ufffd')) assert.not.match(pieces.join('|'), '\ufffd');
      }),
      { seed, numRuns: 500 },
    );
  });
}

for (const kind of ['byte-level', 'byte-fallback', 'bytes'] as const) {
  test(`${kind}: every text comes back`, () => {
    const { encode, decode } = kinds[kind];
    fc.assert(
      fc.property(texts, (text) => {
        // In a vocabulary with ▁ for spaces that character is one; a byte order mark before bytes is none.
        fc.pre(kind !== 'byte-fallback' || !/[▁\ufeff]/.test(text));
        assert.is(decode(encode(text)), text);
        assert.equal(encode(new TextEncoder().encode(text)), encode(text));
      }),
      { seed, numRuns: 1000 },
    );
  });
}

test('the text comes as soon as it is certain, and only the beginning of a character is held back', () => {
  const { encode } = kinds['byte-level'];
  const pieces = streamed(kinds['byte-level'], encode('the 😀!'));
  assert.is(pieces.join(''), 'the 😀!');
  assert.is(pieces.filter((piece) => piece.includes('😀')).length, 1);
  assert.is(pieces[1], 'the', 'the begin token is no text, the first word is whole');
  assert.is(pieces.at(-1), '');
  const cut = [...encode('₿')].slice(0, -1);
  assert.is(streamed(kinds['byte-level'], cut).at(-1), '\ufffd', 'what stays unfinished shows at the end');
  const stream = kinds['byte-fallback'].stream();
  const invalid = kinds['byte-fallback'].encode('\u0000').at(-1)! + 0xff;
  assert.equal(
    [1, 2, 3].map(() => stream.push(invalid)),
    ['', '\ufffd', '\ufffd'],
    'of bytes that are no text one at most is held back',
  );
});

test('what a stream decodes does not grow with the text, whatever the ids', () => {
  for (const [kind, tokenizer] of Object.entries(kinds)) {
    if (kind === 'bytes') continue;
    let most = 0;
    const stream = createTokenStream((ids) => {
      most = Math.max(most, ids.length);
      return tokenizer.decode(ids);
    });
    const ids = fc.sample(fc.integer({ min: 0, max: tokenizer.below - 1 }), { seed, numRuns: 3000 });
    const runs = ids.slice(0, 60).flatMap((id) => new Array<number>(50).fill(id)); // the same token over and over
    const text = [...ids, ...runs].map((id) => stream.push(id)).join('') + stream.end();
    assert.is(text, tokenizer.decode([...ids, ...runs]));
    assert.ok(most <= 24, `${kind}: a window of ${most} tokens`);
  }
});

test('behind a prompt a word keeps its space, and a character that the prompt began is completed', () => {
  for (const kind of ['byte-fallback', 'word-piece', 'unigram'] as const) {
    const { encode, stream } = kinds[kind];
    const least = kind === 'unigram' ? 2 : 4; // special tokens come first
    const [the, and] = ['the', 'and'].map((word) => encode(word).filter((id) => id >= least));
    const behind = stream(the);
    assert.is(Array.from(and!, (id) => behind.push(id)).join('') + behind.end(), ' and', kind);
    assert.is(kinds[kind].decode(and!), 'and', 'at the beginning there is no space');
  }
  for (const kind of ['byte-level', 'byte-fallback', 'bytes'] as const) {
    const ids = kinds[kind].encode('₿');
    const stream = kinds[kind].stream(ids.subarray(0, -1));
    assert.is(stream.push(ids.at(-1)!), '₿', kind);
  }
});

test('special tokens and ids of no token are no text, wherever they stand', () => {
  const tokenizer = kinds['byte-level'];
  const [begin, ...euro] = tokenizer.encode('€');
  const end = tokenizer.eos[0]!;
  const ids = [begin!, euro[0]!, end, 999_999, -1, 0.5, ...euro.slice(1), end];
  assert.is(tokenizer.decode(ids), '€');
  assert.is(streamed(tokenizer, ids).join(''), '€');
  assert.equal([tokenizer.decode([]), tokenizer.decode([end])], ['', '']);
  assert.equal([...tokenizer.encode('<|end|>')], [begin, end], 'spelt out they are themselves');
  assert.is(
    tokenizer.decode(tokenizer.encode('a <tool> b')),
    'a <tool> b',
    'added tokens that are not special are text',
  );
});

test('begin tokens come from the file, end tokens from the files beside it', async () => {
  const [begin, end, tool] = byteLevel()['tokenizer.json'].added_tokens as { id: number }[];
  const { encode, eos, below } = kinds['byte-level'];
  assert.equal([...encode('')], [begin!.id]);
  assert.equal(eos, [end!.id, 0]);
  assert.is(below, tool!.id + 1, 'of the added tokens the one that is text counts');
  assert.equal([...kinds['word-piece'].encode('')], [2, 3]);
  assert.equal(kinds['byte-fallback'].eos, [2]);
  const files = { 'tokenizer.json': byteLevel()['tokenizer.json'], 'generation_config.json': { eos_token_id: 7 } };
  assert.equal((await load('alone', files)).eos, [7]);
  assert.equal((await loadTokenizer(join(folder, 'alone', 'tokenizer.json'))).eos, [7], 'a file as well as its folder');
  assert.equal((await loadTokenizer(pathToFileURL(join(folder, 'alone')))).eos, [7]);
});

test('a session: text through the tokenizer, its end tokens end it, and one of another model is refused', async () => {
  const tokenizer = await load('in-order', bytesInOrder());
  const say = new TextEncoder().encode('né\0');
  const session = new Session(languageEngine(say, { tokenizer: null }));
  assert.is((await session.complete('', { tokenizer, maxTokens: 3 })).text, 'né');
  const ends: Tokenizer = { ...tokenizer, eos: [0] };
  const ended = await session.complete('', { tokenizer: ends });
  assert.equal([ended.text, ended.finishReason, ended.tokens.length], ['né', 'stop', 4]);
  const { message } = await rejects(
    async () => session.generate('x', { tokenizer: kinds['byte-level'] }),
    'tokenizer-misfit',
  );
  assert.match(message, `ids up to ${kinds['byte-level'].below - 1}, and parrot has a vocabulary of 257`);
});

test('what is no tokenizer is told apart', async () => {
  const at = (name: string, content: string): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const whole = JSON.stringify(byteLevel()['tokenizer.json']);
  const broken = (change: (json: Record<string, unknown>) => Json): string =>
    JSON.stringify(change(JSON.parse(whole) as Record<string, unknown>));
  await rejects(() => loadTokenizer(join(folder, 'nowhere')), 'tokenizer-not-found');
  mkdirSync(join(folder, 'empty'), { recursive: true });
  const { message } = await rejects(() => loadTokenizer(join(folder, 'empty')), 'tokenizer-not-found');
  assert.match(message, /empty\/tokenizer\.json$/);
  await rejects(() => loadTokenizer(join(at('file', ''), 'below')), 'tokenizer-unreadable');
  await rejects(() => loadTokenizer('/dev/null'), 'tokenizer-unreadable');
  await rejects(() => loadTokenizer(at('cut.json', whole.slice(0, -40))), 'tokenizer-not-json');
  const large = at('large.json', '');
  truncateSync(large, 2 ** 28 + 1);
  await rejects(() => loadTokenizer(large), 'tokenizer-too-large');
  for (const [name, content] of Object.entries({
    null: 'null',
    list: '[1, 2]',
    'other json': '{"a": 1}',
    'no model': broken(({ model: _, ...rest }) => rest),
    'no added tokens': broken(({ added_tokens: _, ...rest }) => rest),
    'unknown model': broken((json) => ({ ...json, model: { type: 'Quantum' } })),
    'unknown decoder': broken((json) => ({ ...json, decoder: { type: 'Quantum' } })),
    'a regular expression that is none': broken((json) => ({
      ...json,
      pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated', invert: false },
    })),
    'ids that are none': broken((json) => ({ ...json, model: { ...(json.model as Json), vocab: { a: 'b', c: -1 } } })),
  })) {
    await rejects(() => loadTokenizer(at(`${name}.json`, content)), 'tokenizer-unsupported');
  }
  writeTokenizer(join(folder, 'beside'), { 'tokenizer.json': byteLevel()['tokenizer.json'] });
  writeFileSync(join(folder, 'beside', 'tokenizer_config.json'), '{');
  await rejects(() => loadTokenizer(join(folder, 'beside')), 'tokenizer-not-json');
});

test.run();
