// The emitted `.cu`: kernels only, each with what it computes, the line of the model it comes from, and its operands' shapes.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import bytesLm from '../../examples/bytes-lm/model.ts';
import { translate } from '../../src/compile.ts';

const test = suite('text of kernels');

const { plan, files } = translate(bytesLm, { target: 'cuda' });
const kernel =
  /^((?:\/\/ %\S+(?:, %\S+)* = \w+ .+ \(model\.ts:\d+:\d+\)\n)+)((?:\/\/ .* → .+\n)+)((?:struct .*\n(?: .*\n)*\};\n)?extern "C" __global__ void __launch_bounds__\(\d+, 1\) (\w+)\(.*\) \{\n {2}const(?:expr)? int T = .+;\n {2}\w+<.+>\(T.*\);\n\})$/gm;

for (const { name, launches } of plan.variants) {
  const text = files.get(`step_${name}.cu`)!;

  test(`${name}: every kernel says what it computes, from which line, and its shapes`, () => {
    let computed = 0;
    for (const [, computes, shapes, , symbol] of text.matchAll(kernel)) {
      computed += computes!.split('\n').length - 1;
      for (const operand of shapes!
        .trimEnd()
        .split(/\n?\/\/ | → |, /)
        .slice(1)) {
        assert.match(operand, /^\w+ (f32|bf16|i32)\[[TS\d,]*\]$/, symbol);
      }
    }
    assert.is(computed, launches.length);
  });

  test(`${name}: launches that differ in nothing but what they point to share a kernel`, () => {
    const bodies = [...text.matchAll(kernel)].map(([, , , body, symbol]) => body!.replaceAll(symbol!, ''));
    assert.is(new Set(bodies).size, bodies.length);
    assert.ok(bodies.length < launches.length / 2, `${bodies.length} kernels for ${launches.length} launches`);
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
