// The one table of op cases. Every target runs all of it: the interpreter in interpreter.test.ts, the cpu target beside it.

import { filter } from '../settings.ts';
import type { OpCase } from './case.ts';
import { elementCases } from './cases/elements.ts';
import { productCases } from './cases/products.ts';
import { selectionCases } from './cases/selection.ts';
import { sequenceCases } from './cases/sequence.ts';

/** All cases, or those whose name contains FILTER. */
export const cases: readonly OpCase[] = [...elementCases, ...productCases, ...selectionCases, ...sequenceCases].filter(
  ({ name }) => name.includes(filter),
);
