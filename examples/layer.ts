// One UltraMem V1 layer from a configuration of the reference implementation: input x f32[T,D], output y f32[T,D].
//
//   npx ultramem compile examples/layer.ts --config layer.json

import { type Model, model } from 'ultramem';
import { layerFromConfig, ultramemV1 } from 'ultramem/models';

/** `config` holds the layer's sizes (`hidden_size`, `knum`, `kdim` …), or is a case of the reference with them under `config`. */
export default function layer(config: unknown): Model {
  const { name, config: sizes } = unwrap(config);
  const options = layerFromConfig(sizes);
  return model(name, (m) => {
    const T = m.symbol('T');
    const x = m.input('x', [T, options.width]);
    m.output('y', ultramemV1(m, x, options));
  });
}

function unwrap(given: unknown): { name: string; config: unknown } {
  const { name = 'ultramem-layer', config = given } = (given ?? {}) as { name?: string; config?: unknown };
  return { name: name.replaceAll('_', '-'), config };
}
