// Memory+ layers over one shared table, from a configuration of the reference implementation: inputs x_0, x_1 … f32[T,D] and
// outputs y_0, y_1 … of the same shape, layer by layer.
//
//   npx ultramem compile examples/memory-plus-layers.ts --config layers.json

import { type Model, model } from 'ultramem';
import { memoryPlus, memoryPlusLayersFromConfig, memoryPlusTable } from 'ultramem/models';

/** `config` holds the sizes (`hidden_size`, `knum`, `mem_layer_num` …), or is a case of the reference with them under `config`. */
export default function layers(config: unknown): Model {
  const { name = 'memory-plus-layers', config: sizes = config } = (config ?? {}) as { name?: string; config?: unknown };
  const { layers: count, ...options } = memoryPlusLayersFromConfig(sizes);
  return model(name.replaceAll('_', '-'), (m) => {
    const T = m.symbol('T');
    const table = memoryPlusTable(m, options);
    for (let n = 0; n < count; n++) {
      const x = m.input(`x_${n}`, [T, options.width]);
      m.output(`y_${n}`, memoryPlus(m, x, table, { ...options, prefix: `mem_blocks.${n}.`, taps: `mid.${n}.` }));
    }
  });
}
