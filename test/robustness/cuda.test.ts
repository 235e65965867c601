// A table that stays in its file, on a GPU, where there is one: its rows come from pinned memory of the host.

import { fileURLToPath } from 'node:url';
import { model } from 'ultramem';
import { layerFromConfig, ultramemV1 } from 'ultramem/models';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type OpenOptions, openModel } from '../../src/open-model.ts';
import { openGoldens } from '../../src/verify/golden.ts';
import { readStepInputs } from '../../src/verify/step-inputs.ts';
import { hasCudaDevice } from '../cuda-device.ts';
import { distance } from '../passes/meaning.ts';
import '../build-folder.ts';

const test = suite('file tables: cuda');
if (await hasCudaDevice('tables that stay in their file')) {
  test('rows come over the bus', async () => {
    const path = fileURLToPath(new URL('../reference/goldens/v1_small.safetensors', import.meta.url));
    const [golden] = await openGoldens(path);
    const options = { ...layerFromConfig(golden!.config), valuePlacement: 'file' as const };
    const layer = model('in-file', (m) => {
      const x = m.input('x', [m.symbol('T'), options.width]);
      m.output('y', ultramemV1(m, x, options));
    });
    const wanted = [{ name: 'x', dtype: 'f32' as const, shape: ['T', options.width] }];
    const { inputs } = await readStepInputs(golden!.files, wanted);
    const run = async (target: OpenOptions['target']) => {
      await using session = await openModel(layer, golden!.files, { target, maxSequences: 1 });
      return (await session.forward(inputs)).y!;
    };
    const error = distance(await run('cuda'), await run('interpreter'));
    assert.ok(error <= 1e-5, `relative l2 error ${error}`);
  });
}
test.run();
