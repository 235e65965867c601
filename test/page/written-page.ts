// Writes pages for tests, and takes what their script works on out of them again.

import { readFileSync } from 'node:fs';
import type { Model } from 'ultramem';
import { inspectPage, type PageOptions } from '../../src/inspect-page.ts';
import type { Graph } from '../../src/ir/index.ts';
import type { PageData } from '../../src/page/data.ts';

/** The page on a model or graph. */
export const pageOf = (
  subject: Model | Graph,
  file: string,
  options: Partial<Pick<PageOptions, 'target' | 'precision' | 'tables' | 'readText'>> = {},
): Promise<string> =>
  inspectPage(subject, {
    ...{ target: 'cpu', precision: 'f32', tables: undefined, maxSequences: 4, weights: undefined, file },
    readText: (path) => readFileSync(path, 'utf8'),
    ...options,
  });

/** The data of a page. */
export function dataOf(page: string): PageData {
  const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)!;
  return JSON.parse(json!) as PageData;
}
