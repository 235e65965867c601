// Errors of building: toolchain, compiler runs, folders, and loading model files.

import { UltramemError } from '../errors.ts';
import { didYouMean } from '../suggest.ts';

export const noCompiler = (tried: readonly string[]): UltramemError =>
  new UltramemError('no-compiler', `no C++ compiler found (tried ${tried.join(', ')})`, {
    hint: 'Install one (`apt install g++`, `dnf install gcc-c++`, `xcode-select --install`), or name it in CXX.',
    details: { tried },
  });

export const compilerUnusable = (path: string, output: string, cause?: unknown): UltramemError =>
  new UltramemError('compiler-unusable', `${path} does not work as a C++ compiler`, {
    hint: 'Run it by hand with --version, or name another compiler in CXX.',
    cause,
    details: { path, output },
  });

export const compilerTooOld = (path: string, found: string, wanted: string): UltramemError =>
  new UltramemError('compiler-too-old', `${path} is ${found}; C++20 needs ${wanted}`, {
    hint: 'Install a newer compiler, or name one in CXX.',
    details: { path, found, wanted },
  });

export const noCmake = (found?: string): UltramemError =>
  new UltramemError(
    'no-cmake',
    found === undefined ? 'CMake was not found on the PATH' : `${found}; 3.20 or later is needed`,
    {
      hint: 'Install it: `apt install cmake`, `brew install cmake`, or `pip install cmake`.',
      details: { found },
    },
  );

export const unknownMarch = (march: string, path: string, output: string): UltramemError =>
  new UltramemError('unknown-march', `${path} knows no processor "${march}"`, {
    hint: 'Use native, x86-64-v4, x86-64-v3, x86-64, or a name that this compiler takes for -march.',
    details: { march, compiler: path, output },
  });

/** The generated sources did not compile: a bug, or a compiler we have not met. `errors` are the compiler's own lines. */
export const compileFailed = (compiler: string, errors: readonly string[], log: string): UltramemError => {
  const shown = errors.slice(0, 8).map((line) => `\n  ${line}`);
  const more = errors.length > 8 ? `\n  … and ${errors.length - 8} more` : '';
  return new UltramemError('compile-failed', `${compiler} refused the generated sources:${shown.join('')}${more}`, {
    hint: 'Set DUMP=<folder> to keep the sources, or DEBUG=6 to see every command. Please report it.',
    details: { compiler, errors, log },
  });
};

export const compileAborted = (cause: unknown): UltramemError =>
  new UltramemError('aborted', 'compilation was aborted', { cause });

const folderFaults: Readonly<Record<string, readonly [string, string]>> = {
  EACCES: ['folder-not-writable', 'may not be written'],
  EPERM: ['folder-not-writable', 'may not be written'],
  EROFS: ['folder-not-writable', 'is on a read-only file system'],
  ENOSPC: ['disk-full', 'is on a full disk'],
  EDQUOT: ['disk-full', 'is over its quota'],
  ENOTDIR: ['not-a-folder', 'or a part of its path is no folder'],
  EEXIST: ['not-a-folder', 'or a part of its path is no folder'],
};

const cannotBeMade = ['folder-not-writable', 'cannot be made'] as const;

/** A file-system fault on `folder` as a typed error; other faults come back as they are. */
export function folderFault(folder: string, role: string, cause: unknown, hint: string): unknown {
  const { code: errno = '', syscall } = (cause ?? {}) as NodeJS.ErrnoException;
  // What Node's recursive mkdir says where it may not make a folder, as on a read-only file system.
  const fault = errno === 'ENOENT' && syscall === 'mkdir' ? cannotBeMade : folderFaults[errno];
  if (fault === undefined) return cause;
  const [code, what] = fault;
  return new UltramemError(code, `the ${role} ${folder} ${what}`, { hint, cause, details: { folder } });
}

export const modelFileMissing = (path: string, neighbours: readonly string[]): UltramemError =>
  new UltramemError('model-file-missing', `there is no model file ${path}.${didYouMean(path, neighbours)}`, {
    hint: 'Give the path of a TypeScript file whose default export is a model.',
    details: { path },
  });

export const modelFileBroken = (path: string, cause: unknown): UltramemError =>
  new UltramemError('model-file-broken', `${path} could not be run: ${(cause as Error)?.message ?? String(cause)}`, {
    hint: 'The file is imported as a module; fix what it says above.',
    cause,
    details: { path },
  });

export const noDefaultExport = (path: string, names: readonly string[]): UltramemError =>
  new UltramemError('no-default-export', `${path} has no default export`, {
    hint:
      names.length > 0
        ? `It exports ${names.join(', ')}. Write \`export default\` before the model.`
        : "Write `export default model('name', (m) => { … })`.",
    details: { path, exports: names },
  });

export const notAModel = (path: string, got: string): UltramemError =>
  new UltramemError('not-a-model', `the default export of ${path} is ${got}, not a model`, {
    hint: "Export what `model('name', (m) => { … })` returns, or a function from a config to it.",
    details: { path, got },
  });

export const configUnused = (path: string): UltramemError =>
  new UltramemError('config-unused', `${path} takes no config: its default export is a model, not a function`, {
    hint: 'Leave --config out, or export `(config) => model(…)`.',
    details: { path },
  });

export const modelFunctionFailed = (path: string, cause: unknown): UltramemError =>
  new UltramemError(
    'model-function-failed',
    `the function that ${path} exports threw: ${(cause as Error)?.message ?? String(cause)}`,
    { hint: 'It was called with the config; see what it expects there.', cause, details: { path } },
  );
