// The emitted `.cu`: kernels only, each with what it computes, the line of the model it comes from, and its operands' shapes.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { translate } from '../../src/compile.ts';

const test = suite('text of kernels');

const { plan, files } = translate(bytesLm, { target: 'cuda' });
const kernel =
  /^\/\/ %\S+(, %\S+)* = \w+ .+ \(model\.ts:\d+:\d+\)\n\/\/ (.+) → (.+)\n(?:struct .*\n(?: .*\n)*\};\n)?extern "C" __global__ void __launch_bounds__\(\d+, 1\) (\w+)\(.*\) \{\n {2}const(?:expr)? int T = .+;\n {2}\w+<.+>\(T.*\);\n\}$/gm;

for (const { name, launches } of plan.variants) {
  const text = files.get(`step_${name}.cu`)!;

  test(`${name}: every kernel says what it computes, from which line, and its shapes`, () => {
    const found = [...text.matchAll(kernel)];
    assert.is(found.length, launches.length);
    for (const [, , read, written, symbol] of found) {
      for (const operand of [...read!.split(', '), ...written!.split(', ')]) {
        assert.match(operand, /^\w+ (f32|bf16|i32)\[[TS\d,]*\]$/, symbol);
      }
    }
  });

  test(`${name}: nothing but headers of its own and kernels`, () => {
    for (const [, header] of text.matchAll(/^#include (.*)$/gm)) assert.match(header!, /^"cuda\/\w+\.cuh"$/);
    const lines = text.replace(kernel, '').split('\n');
    const rest = lines.filter(
      (line) => line !== '' && !/^(\/\/ |#include "|using namespace ultramem::cuda;)/.test(line),
    );
    assert.equal(rest, []);
  });
}

test.run();
