// `ultramem generate` on the trained model: text on stdout, the rest on stderr, both targets alike.

import { spawn, spawnSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MemoryEstimate, MemoryUse } from '../../src/runtime/index.ts';
import '../build-folder.ts';
import { byteLevel, bytesInOrder, writeTokenizer } from '../runtime/tokenizer-files.ts';
import { bin, inTemporaryFolder, root, start, ultramem } from './run-command.ts';

const example = 'examples/bytes-lm';
const checkpoint = ['--weights', `${example}/ultramem-bytes.safetensors`];
const model = [`${example}/model.ts`, ...checkpoint];
const test = suite('generate');

interface Generated {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly finishReason: string;
  readonly tokensPerSecond: number;
}

test('the text goes to stdout, what it took to stderr', () => {
  const { status, stdout, stderr } = ultramem(['generate', ...model, '--prompt', 'In the', '--max-tokens', '24']);
  assert.is(status, 0, stderr);
  assert.is(Buffer.byteLength(stdout.trimEnd()) <= 24, true);
  assert.match(stderr, /^\d+ tokens \(length\), prompt in .* tokens per second$/m);
});

test('what it takes, beside what inspect says before', () => {
  const args = ['generate', ...model, '--prompt', 'In the', '--max-tokens', '4', '--memory'];
  const { status, stderr } = ultramem(args);
  assert.is(status, 0, stderr);
  assert.match(stderr, /^prepared +10\.73 MiB +10\.73 MiB/m);
  assert.match(stderr, /^the whole process +\d/m);
  const { memory } = JSON.parse(ultramem([...args, '--json']).stdout) as { memory: MemoryUse };
  const inspected = ultramem(['inspect', ...model, '--max-sequences', '1', '--json']);
  const { estimate } = JSON.parse(inspected.stdout) as { estimate: MemoryEstimate };
  assert.equal(estimate, memory.expected);
  assert.is(memory.weights.prepared, estimate.weights.prepared);
  assert.is(memory.weights.mapped, estimate.weights.mapped);
  assert.is(memory.weights.own, estimate.weights.own);
  assert.is(memory.session.states, estimate.session.states);
  assert.ok(memory.rss > estimate.weights.prepared);
  // The interpreter has figures too, and no estimate.
  const slow = ultramem([...args, '--target', 'interpreter', '--json']);
  const { memory: interpreted } = JSON.parse(slow.stdout) as { memory: MemoryUse };
  assert.is(interpreted.expected, undefined);
  assert.ok(interpreted.weights.own > 0);
});

test('both targets give the same text', () => {
  const [cpu, interpreter] = ['cpu', 'interpreter'].map((target) => {
    const args = ['generate', ...model, '--prompt', 'And it came', '--max-tokens', '12', '--target', target, '--json'];
    return JSON.parse(ultramem(args).stdout) as Generated;
  });
  assert.is(cpu!.text, interpreter!.text);
  assert.equal(cpu!.tokens, interpreter!.tokens);
  assert.is(cpu!.finishReason, 'length');
  assert.ok(cpu!.tokensPerSecond > 0);
});

test('auto runs on the CPU where there is nothing for cuda, and says so on stderr', () => {
  const args = ['generate', ...model, '--prompt', 'And it came', '--max-tokens', '8'];
  const auto = ultramem([...args, '--target', 'auto'], { env: { CUDA_HOME: '/nonexistent' } });
  assert.is(auto.status, 0, auto.stderr);
  assert.match(auto.stderr, /^target cpu: (no NVIDIA driver|there is a driver .* and no device|nvcc was not found)/m);
  assert.is(auto.stdout, ultramem([...args, '--target', 'cpu']).stdout);
});

test('cuda never falls back: it says what is missing before anything is compiled', () => {
  const args = ['generate', ...model, '--prompt', 'a', '--target', 'cuda'];
  const { status, stderr } = ultramem(args, { env: { CUDA_HOME: '/nonexistent' } });
  assert.is(status, 1);
  assert.match(stderr, /^error (no-driver|no-device|no-nvcc): .*\n {2}help: /m);
});

test('a prompt from stdin, drawn with a seed, ended by a text', () => {
  const args = ['generate', ...model, '--prompt', '-', '--temperature', '0.9', '--seed', '7', '--stop', ' ', '--json'];
  const run = () => JSON.parse(ultramem(args, { input: 'And he said' }).stdout) as Generated;
  const [first, second] = [run(), run()];
  assert.is(first.text, second.text);
  assert.is(first.finishReason, 'stop');
  assert.not.match(first.text, ' ');
});

test('without --prompt, stdin that is no terminal is the prompt', () => {
  const args = ['generate', ...model, '--max-tokens', '8'];
  const { status, stdout, stderr } = ultramem(args, { input: 'And he said' });
  assert.is(status, 0, stderr);
  assert.is(stdout, ultramem([...args, '--prompt', 'And he said']).stdout);
});

test('--tokenizer: one that has a token per byte says what the bytes of the model say', () =>
  inTemporaryFolder((folder) => {
    const args = ['generate', ...model, '--prompt', 'Größe', '--max-tokens', '24', '--json'];
    const { status, stdout, stderr } = ultramem([...args, '--tokenizer', writeTokenizer(folder, bytesInOrder())]);
    assert.is(status, 0, stderr);
    const [given, own] = [stdout, ultramem(args).stdout].map((text) => JSON.parse(text) as Generated);
    assert.equal([given!.text, given!.tokens], [own!.text, own!.tokens]);
    const other = ultramem([...args, '--tokenizer', writeTokenizer(join(folder, 'other'), byteLevel())]);
    assert.is(other.status, 1);
    assert.match(
      JSON.parse(other.stdout).error.message,
      /the tokenizer has ids up to \d+, and bytes-lm has a vocabulary/,
    );
    const none = ultramem([...args, '--tokenizer', join(folder, 'none')]);
    assert.is(JSON.parse(none.stdout).error.code, 'tokenizer-not-found');
  }));

test('a model that states no tokenizer takes the one beside its weights, or asks for one', () =>
  inTemporaryFolder((folder) => {
    const weights = join(folder, 'model.safetensors');
    symlinkSync(join(root, checkpoint[1]!), weights);
    const config = join(folder, 'config.json');
    writeFileSync(config, JSON.stringify({ name: 'wordless', model: sizes }));
    const plain = ['examples/language-model.ts', '--config', config, '--target', 'interpreter'];
    const ask = (at: string) =>
      ultramem(['generate', ...plain, '--weights', at, '--prompt', 'And it came', '--max-tokens', '4']);
    const { status, stderr } = ask(weights);
    assert.is(status, 1);
    assert.match(
      stderr,
      /^error cli-option-needed: --tokenizer is needed: wordless states no tokenizer .*tokenizer\.json/m,
    );
    writeTokenizer(folder, bytesInOrder());
    const own = ultramem(['generate', ...model, '--prompt', 'And it came', '--max-tokens', '4']).stdout;
    assert.is(ask(weights).stdout, own);
    assert.is(ask(folder).stdout, own);
  }));

/** Of the trained model, as its reference names them. */
const sizes = {
  ...{ d_model: 192, n_heads: 6, n_layers: 6, mlp_hidden_size: 768, activation_type: 'swiglu' },
  ...{ attention_layer_norm: true, weight_tying: true, vocab_size: 257, max_sequence_length: 256 },
  ...{ mem_type: 'ultramem_v1', mem_insert_way: '1:2/3:5', mem_knum: 96, mem_kdim: 48, mem_vdim: 160, mem_knn: 16 },
  mem_head: 2,
};

test('on a terminal it takes line after line; Ctrl-C stops the model, Ctrl-D ends it', async () => {
  if (spawnSync('script', ['--version']).status !== 0) {
    console.log('[SKIP] no script (util-linux) to make a terminal with');
    return;
  }
  const command = [process.execPath, bin, 'generate', ...model, '--max-tokens', '20'].join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', TERM: 'xterm' },
  });
  let seen = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
  const ended = new Promise((resolve) => child.on('close', resolve));
  const sees = async (text: RegExp): Promise<void> => {
    for (const until = Date.now() + 120_000; !text.test(seen); ) {
      assert.ok(Date.now() < until && child.exitCode === null, seen);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    seen = seen.slice(seen.search(text)).replace(text, '');
  };
  try {
    await sees(/bytes-lm on cpu, \d+ threads?, 255 of 256 tokens left/);
    await sees(/> /);
    child.stdin.write('In the beginning\r');
    await sees(/20 tokens \(length\), prompt of 17 in .* 219 of 256 tokens left/);
    child.stdin.write('/set max-tokens 200\r');
    await sees(/max-tokens +200/);
    await sees(/> /);
    child.stdin.write('And God\r');
    await sees(/And God[\r\n]+ \w/);
    child.stdin.write('\x03');
    await sees(/tokens \(stopped\)/);
    await sees(/> /);
    child.stdin.write('\x04');
    assert.is(await ended, 0);
  } finally {
    child.kill();
  }
});

test('on a terminal --json wants a prompt', () => {
  if (spawnSync('script', ['--version']).status !== 0) {
    console.log('[SKIP] no script (util-linux) to make a terminal with');
    return;
  }
  const command = [process.execPath, bin, 'generate', ...model, '--json'].join(' ');
  const { status, stdout } = spawnSync('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.is(status, 1);
  assert.match(stdout, '"code": "cli-option-needed"');
  assert.match(stdout, '--prompt is needed: --json gives one value for one prompt');
});

test('Ctrl-C ends it with 130', async () => {
  const child = start(['generate', ...model, '--prompt', 'In the', '--max-tokens', '200', '--target', 'interpreter']);
  child.stdout!.once('data', () => child.kill('SIGINT'));
  assert.is(await new Promise((resolve) => child.on('close', resolve)), 130);
});

test('weights that are none, and a prompt that does not fit', () =>
  inTemporaryFolder((folder) => {
    const none = ultramem(['generate', model[0]!, '--weights', `${folder}/none.safetensors`, '--prompt', 'a']);
    assert.is(none.status, 1);
    assert.match(none.stderr, /^error weights-not-found: .*none\.safetensors/m);
    const long = ultramem(['generate', ...model, '--prompt', 'a'.repeat(600)]);
    assert.is(long.status, 1);
    assert.match(long.stderr, /^error prompt-too-long: /m);
  }));

test.run();
