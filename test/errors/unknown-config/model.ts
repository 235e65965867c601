// A misspelt key.

import layer from '../../../examples/layer.ts';

export default () => layer({ hidden_size: 64, knum: 16, kdim: 16, vdim: 32, knm: 8 });
