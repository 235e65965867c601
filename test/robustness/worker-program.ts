// Worker thread of test/robustness/workers.test.ts: a model of its own on the addon that others use at the same time.
//
//   text    posts what the model says to the prompt, and disposes of it
//   steps   posts after every step, for ever
//   loads   loads again and again, and posts after each
//   leaves  posts what the model says, and ends without a word to the model
//   holds   posts once it is loaded, and waits

import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import type { EmittedClass } from '../compiled-model.ts';

export interface WorkerTask {
  readonly dir: string;
  readonly className: string;
  readonly weights: string;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly does: 'text' | 'steps' | 'loads' | 'leaves' | 'holds';
}

const { dir, className, weights, prompt, maxTokens, does } = workerData as WorkerTask;
const emitted = (await import(pathToFileURL(`${dir}/model.ts`).href)) as Record<string, EmittedClass>;
const load = () => emitted[className]!.load(weights, { threads: 2, maxSequences: 1 });
const said = async (model: Awaited<ReturnType<typeof load>>) =>
  (await model.complete(prompt, { maxTokens, temperature: 0 })).text;

if (does === 'text') {
  await using model = await load();
  parentPort!.postMessage(await said(model));
} else if (does === 'leaves') {
  parentPort!.postMessage(await said(await load()));
} else if (does === 'loads') {
  for (;;) {
    (await load()).dispose();
    parentPort!.postMessage('loaded');
  }
} else if (does === 'holds') {
  await using _model = await load();
  parentPort!.postMessage('loaded');
  await new Promise((resolve) => parentPort!.once('message', resolve));
} else {
  const model = await load();
  for (;;) {
    await said(model);
    parentPort!.postMessage('stepped');
  }
}
