// The decoder preset beyond what reference outputs cover: variants, placements, configurations, and how tokens may be batched.

import { model, trace, UltramemError } from 'ultramem';
import { type DecoderOptions, decoder, decoderFromConfig, layerFromConfig, parsePlacement } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import languageModel from '../../examples/language-model.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { Interpreter } from '../../src/ir/interpret.ts';
import { type Tensor, tensor } from '../../src/support/tensor.ts';
import { Random } from '../random.ts';
import { seed } from '../settings.ts';

const test = suite('preset: decoder');

const small = {
  d_model: 16,
  n_heads: 4,
  n_layers: 3,
  mlp_hidden_size: 24,
  vocab_size: 11,
  max_sequence_length: 12,
  attention_layer_norm: true,
};
const memory = {
  mem_type: 'ultramem_v1',
  mem_insert_way: '0:1',
  mem_knum: 4,
  mem_kdim: 4,
  mem_vdim: 6,
  mem_knn: 3,
  mem_head: 2,
};

const graphOf = (options: DecoderOptions): Graph => trace(model('decoder', (m) => decoder(m, options)));

function randomWeights(graph: Graph, name: string): Map<string, Tensor> {
  const random = new Random(seed, name);
  return new Map(
    graph.weights.map(({ name, type }): [string, Tensor] => {
      const shape = type.shape as number[];
      return [
        name,
        type.dtype === 'i32' ? random.permutation(shape[0]!) : random.f32(shape, () => 0.5 * random.normal()),
      ];
    }),
  );
}

const flat = (values: readonly number[]): Tensor => tensor('i32', [values.length], Int32Array.from(values));

/** A step of (id, position, sequence) triples; rows of logits. */
function step(
  interpreter: Interpreter,
  tokens: readonly (readonly [id: number, position: number, sequence: number])[],
): number[][] {
  const column = (i: 0 | 1 | 2) => flat(tokens.map((token) => token[i]));
  const { logits } = interpreter.step({ ids: column(0), positions: column(1), sequence: column(2) }).outputs;
  const width = logits!.shape[1]!;
  return tokens.map((_, t) => Array.from(logits!.data.slice(t * width, (t + 1) * width), Number));
}

const close = (got: readonly number[][], wanted: readonly number[][], message: string): void => {
  const size = Math.hypot(...wanted.flat());
  const difference = Math.hypot(...wanted.flat().map((value, i) => value - got.flat()[i]!));
  assert.is(got.flat().length, wanted.flat().length, message);
  assert.ok(difference <= 1e-5 * size, `${message}: relative l2 error ${difference / size}`);
};

const refusal = (code: string, part: RegExp) => (error: unknown) =>
  error instanceof UltramemError && error.code === code && part.test(`${error.message} ${error.hint}`);

test('value tables, and they alone, stay in the file where the configuration says so', () => {
  const placed = graphOf(decoderFromConfig({ ...small, ...memory, mem_value_placement: 'file' }));
  const inFile = placed.weights.filter(({ placement }) => placement === 'file').map(({ name }) => name);
  assert.ok(inFile.length > 0);
  assert.ok(inFile.every((name) => name.endsWith('values_for_look_up')));
  const other = { ...small, ...memory, mem_value_placement: 'disk' };
  assert.throws(() => decoderFromConfig(other), refusal('bad-config', /mem_value_placement.*memory, file/));
});

test('prefill, decode and a mixed batch give the same logits', () => {
  const graph = graphOf(decoderFromConfig({ ...small, ...memory }));
  const weights = randomWeights(graph, 'batching');
  const fresh = () => new Interpreter(graph, { weights, symbols: { S: 3 } });
  const a = [1, 5, 2, 9, 0].map((id, p) => [id, p, 2] as const);
  const b = [7, 7, 3].map((id, p) => [id, p, 0] as const);
  const whole = step(fresh(), a);
  const decoding = fresh();
  close(
    a.map((token) => step(decoding, [token])[0]!),
    whole,
    'one by one',
  );
  const mixed = fresh();
  step(mixed, a.slice(0, 3));
  const rows = step(mixed, [...b, ...a.slice(3)]);
  close(rows.slice(3), whole.slice(3), 'beside another sequence');
  close(rows.slice(0, 3), step(fresh(), b), 'the other sequence');
});

test('grouped key heads are repeated key heads', () => {
  const grouped = graphOf(decoderFromConfig({ ...small, n_kv_heads: 2 }));
  const full = graphOf(decoderFromConfig(small));
  const weights = randomWeights(grouped, 'grouped');
  const repeated = new Map(weights);
  for (let i = 0; i < small.n_layers; i++) {
    const name = `transformer.blocks.${i}.att_proj.weight`;
    const head = (start: number) => [
      ...(weights.get(name)!.data as Float32Array).subarray(start * 16, (start + 4) * 16),
    ];
    // Rows: 16 of queries; then heads of 4 rows, keys before values. Each of the two is read by two query heads.
    const rows = [...(weights.get(name)!.data as Float32Array).subarray(0, 16 * 16)];
    for (const start of [16, 16, 20, 20, 24, 24, 28, 28]) rows.push(...head(start));
    repeated.set(name, tensor('f32', [48, 16], Float32Array.from(rows)));
  }
  const tokens = [3, 1, 4, 1].map((id, p) => [id, p, 0] as const);
  const got = step(new Interpreter(grouped, { weights }), tokens);
  close(got, step(new Interpreter(full, { weights: repeated }), tokens), 'logits');
});

test('gelu, no query and key norms, own output weights', () => {
  const config = { ...small, n_layers: 1, activation_type: 'gelu', attention_layer_norm: false, weight_tying: false };
  const graph = graphOf(decoderFromConfig(config));
  const names = graph.weights.map(({ name }) => name);
  assert.ok(names.includes('transformer.ff_out.weight') && !names.some((name) => name.includes('q_norm')));
  const weights = randomWeights(graph, 'gelu');
  const zero = 'transformer.blocks.0.attn_out.weight';
  weights.set(zero, tensor('f32', [16, 16], new Float32Array(256))); // leaves the feed-forward part alone
  const data = (name: string) => weights.get(`transformer.${name}.weight`)!.data as Float32Array;
  const times = (name: string, x: number[]) =>
    Array.from({ length: data(name).length / x.length }, (_, n) =>
      x.reduce((sum, value, k) => sum + value * data(name)[n * x.length + k]!, 0),
    );
  const norm = (name: string, x: number[]) =>
    x.map((value, i) => (value * data(name)[i]!) / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length + 1e-5));
  const gelu = (x: number) => {
    let area = 0; // of the normal density from 0 to x, by the midpoint rule
    for (let i = 0; i < 4000; i++)
      area += (Math.exp(-0.5 * ((x * (i + 0.5)) / 4000) ** 2) * x) / 4000 / Math.sqrt(2 * Math.PI);
    return x * (0.5 + area);
  };
  const x = [...data('wte').subarray(6 * 16, 7 * 16)];
  const active = times('blocks.0.ff_proj', norm('blocks.0.ff_norm', x)).map(gelu);
  const out = times('blocks.0.ff_out', active).map((value, i) => value + x[i]!);
  close(step(new Interpreter(graph, { weights }), [[6, 0, 0]]), [times('ff_out', norm('ln_f', out))], 'logits');
});

test('placements', () => {
  assert.equal(parsePlacement('no_mem', 4), []);
  assert.equal(parsePlacement('full', 2), [
    { read: 0, add: 0 },
    { read: 1, add: 1 },
  ]);
  assert.equal(parsePlacement('0:2/1:3', 4), [
    { read: 0, add: 2 },
    { read: 1, add: 3 },
  ]);
  for (const [text, part] of [
    ['2:1', /added after block 1 but reads at block 2/],
    ['1:4', /no block 4/],
    ['2:2/1:3', /memory 1 reads at block 1/],
    ['1-2', /"1-2" is no pair/],
    ['', /no pair/],
  ] as const) {
    assert.throws(() => parsePlacement(text, 4), refusal('bad-config', part), text);
  }
});

test('a read drops the output that still waits, and its weights stay declared', () => {
  const logitsWith = (way: string, doubled: number | undefined) => {
    const graph = graphOf(decoderFromConfig({ ...small, ...memory, mem_insert_way: way }));
    const weights = randomWeights(graph, 'pending');
    const name = `transformer.mem_blocks.${doubled}.values_for_look_up`;
    const table = weights.get(name);
    if (table)
      weights.set(
        name,
        tensor(
          'f32',
          table.shape,
          (table.data as Float32Array).map((value) => 2 * value),
        ),
      );
    assert.ok(doubled === undefined || table !== undefined, `${name} is declared`);
    return step(new Interpreter(graph, { weights }), [[3, 0, 0]]);
  };
  for (const way of ['0:2/1:2', '0:1/1:2']) {
    assert.equal(logitsWith(way, 0), logitsWith(way, undefined), `${way}: memory 0 is lost`);
    assert.not.equal(logitsWith(way, 1), logitsWith(way, undefined), `${way}: memory 1 is added`);
  }
  assert.not.equal(logitsWith('0:1/2:2', 0), logitsWith('0:1/2:2', undefined), '0:1/2:2: memory 0 is added');
});

test('configurations: training keys are ignored, others are refused with the way out', () => {
  const training = {
    flash_attention: false,
    attention_dropout: 0.1,
    init_std: 0.02,
    eos_token_id: 10,
    pad_token_id: 10,
  };
  assert.equal(graphOf(decoderFromConfig({ ...small, ...training })), graphOf(decoderFromConfig(small)));
  for (const [config, code, part] of [
    [{ ...small, block_type: 'llama' }, 'bad-config', /block_type.*"llama".*"sequential"/],
    [{ ...small, alibi: true }, 'bad-config', /alibi/],
    [{ ...small, n_head: 4 }, 'unknown-config', /n_head.*"n_heads"/],
    [{ ...small, d_model: 0 }, 'bad-config', /d_model/],
    [{ ...small, mlp_hidden_size: undefined }, 'bad-config', /mlp_hidden_size.*missing/],
    [{ ...small, ...memory, mem_type: 'ultramem_v3' }, 'bad-config', /mem_type.*ultramem_v1/],
    [{ ...small, ...memory, mem_knum: undefined }, 'bad-config', /mem_knum.*missing/],
    [[small], 'bad-config', /array/],
    [undefined, 'bad-config', /undefined/],
  ] as const) {
    assert.throws(() => decoderFromConfig(config), refusal(code, part), JSON.stringify(config));
  }
  const layer = { hidden_size: 8, knum: 4, kdim: 4, vdim: 8, knn: 2 };
  assert.is(layerFromConfig({ ...layer, key_num: 8, value_num: 16, virtual_value_num: 64 }).expansion, 4);
  assert.throws(() => layerFromConfig({ ...layer, key_num: 4 }), refusal('bad-config', /key_num.*8.*not 4/));
});

test('the language model takes a tokenizer beside its keys', () => {
  const tokenizer = { kind: 'raw bytes', bos_id: 256, eos_id: null };
  assert.equal(languageModel({ model: small, tokenizer }).meta, { tokenizer: { kind: 'bytes', bos: 256, eos: [] } });
  assert.equal(languageModel(small).meta, {});
  assert.is(languageModel({ name: 'lm_dense', config: small }).name, 'lm-dense');
});

test.run();
