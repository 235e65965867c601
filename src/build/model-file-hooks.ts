// Module hooks: a model file, and what TypeScript it imports, are ES modules wherever they lie. Without them the nearest
// package.json decides, and a file outside any package is taken for CommonJS, which cannot import this package.

import type { ResolveHook } from 'node:module';

/** URLs of model files and of what they import. */
const modelFiles = new Set<string>();

/** @param data URL of the module that imports model files */
export const initialize = (data: string): void => {
  modelFiles.add(data);
};

export const resolve: ResolveHook = async (specifier, context, next) => {
  const resolved = await next(specifier, context);
  const { url, format } = resolved;
  if (context.parentURL === undefined || !modelFiles.has(context.parentURL)) return resolved;
  if (!/\.tsx?(\?|$)/.test(url) || url.includes('/node_modules/')) return resolved;
  modelFiles.add(url);
  return format === 'commonjs' ? { ...resolved, format: 'module' } : resolved;
};
