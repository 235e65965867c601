// Bytes that the retrieval kernels of one UltraMem V1 layer move on a device, counted by the simt target, against the bytes
// that must move, and against the same layer planned as it is written.
//
//   npm --prefix bench run retrieval-bytes [-- --tokens 1,64 --json out.json]

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { markdownTable } from 'markdown-table';
import { type Model, model } from 'ultramem';
import { ultramemV1 } from 'ultramem/models';
import { bytesOf, type ProfiledLaunch, type ProfiledStep, profile, totalOf } from 'ultramem/profile';
import { keysPerSide, layerWeights, sizes } from './layer-weights.ts';

const { values: flags } = parseArgs({
  options: { tokens: { type: 'string', default: '1,64' }, json: { type: 'string' } },
});
const tokens = flags.tokens.split(',').map(Number);
const weights = layerWeights(sizes, 1);
const layer: Model = model('bench-layer', (m) => {
  const x = m.input('x', [m.symbol('T'), sizes.width]);
  m.output('y', ultramemV1(m, x, sizes));
});
const onProgress = ({ stage }: { readonly stage: string }): void => {
  if (stage.startsWith('counting')) console.error(stage);
};
const fused = await profile(layer, { tokens, weights, onProgress });
const written = await profile(layer, { tokens, weights, onProgress, fuse: false });

/** From normed queries to pooled rows: all but the projections and the norm of the query. */
const retrieval = ({ launches }: ProfiledStep): readonly ProfiledLaunch[] =>
  launches.filter(({ kernel }) => !/^(linear_|norm$)/.test(kernel));

/** Folded keys, selected key rows and value rows, queries in and pooled rows out: each once, f32, tables no more than whole. */
function least(T: number): number {
  const { heads: H, kdim: Dk, vdim: Dv, knn: m, rank: r, expansion: E, knum } = sizes;
  const n = keysPerSide(sizes);
  const keys = 2 * H * n * Dk + 2 * H * Math.min(n, T * m) * r * Dk;
  const rows = Math.min(knum ** 2, T * m * H) * Dv + T * m * H; // with their entries of the shuffle table
  return 4 * (keys + rows + T * (2 * Dk + E * Dv));
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(3);
const ratio = (a: number, b: number): string => (a / b).toFixed(3);
const kernels: string[][] = [];
const totals: string[][] = [];
const results: object[] = [];
for (const [i, step] of fused.steps.entries()) {
  const own = retrieval(step);
  const [sum, peer] = [totalOf(own), totalOf(retrieval(written.steps[i]!))];
  for (const { kernel, must, moved, touched } of own) {
    kernels.push([
      ...[`${step.tokens}`, kernel, ...[must, moved, touched].map((bytes) => mebibytes(bytesOf(bytes)))],
      ratio(bytesOf(moved), bytesOf(must)),
    ]);
  }
  const [must, moved, touched] = [sum.must, sum.moved, sum.touched].map(bytesOf) as [number, number, number];
  totals.push([
    ...[`${step.tokens}`, mebibytes(must), mebibytes(moved), ratio(moved, must), mebibytes(touched)],
    ...[mebibytes(least(step.tokens)), mebibytes(bytesOf(peer.must)), mebibytes(bytesOf(peer.moved))],
    ...[ratio(bytesOf(peer.must), must), ratio(bytesOf(peer.moved), moved)],
  ]);
  results.push({ tokens: step.tokens, fused: sum, written: peer, least: least(step.tokens), launches: own });
}
console.log('MiB of global memory, kernel by kernel\n');
console.log(markdownTable([['T', 'kernel', 'must', 'moved', 'touched', 'moved / must'], ...kernels], { align: 'r' }));
console.log('\nThe retrieval of the layer, in MiB: fused, and as the graph is written\n');
const head = ['T', 'must', 'moved', 'moved / must', 'touched', 'least', 'written: must', 'written: moved'];
console.log(markdownTable([[...head, 'must ratio', 'moved ratio'], ...totals], { align: 'r' }));
if (flags.json !== undefined) await writeFile(flags.json, JSON.stringify({ sizes, results }, null, 2));
