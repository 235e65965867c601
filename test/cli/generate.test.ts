// `ultramem generate` on the trained model: text on stdout, the rest on stderr, both targets alike.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MemoryEstimate, MemoryUse } from '../../src/runtime/index.ts';
import '../build-folder.ts';
import { inTemporaryFolder, start, ultramem } from './run-command.ts';

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
