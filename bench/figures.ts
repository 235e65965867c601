// Figures as tables show them.

import { markdownTable } from 'markdown-table';

/** Three digits that count. */
export const rounded = (value: number): string => `${Number(value.toPrecision(3))}`;

/** A share of 1 as per cent, without decimals. */
export const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** A Markdown table whose columns stand to the right, but for those that `left` names. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[], left: readonly string[] = []) =>
  markdownTable([head, ...rows], { align: head.map((name) => (left.includes(name) ? 'l' : 'r')) });
