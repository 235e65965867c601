// The one table of environment switches. No other file reads process.env; a structure test holds everybody to it.

/** One switch: what it does, what it takes, and whether it changes what is built. */
export interface Switch {
  readonly doc: string;
  /** Shape of the value, as shown in the README. */
  readonly takes: string;
  /** Whether the value changes the built binary, so that it is part of the build cache's key. */
  readonly inKey: boolean;
}

export const switches = {
  DEBUG: { takes: '0…6', inKey: false, doc: 'what to tell on stderr; each level includes the ones below it' },
  DUMP: { takes: 'folder', inKey: false, doc: 'write every stage (graphs, plan, sources) into this folder' },
  AFTER: { takes: 'pass', inKey: false, doc: 'print the graph after this pass and stop compiling' },
  VERIFY: {
    takes: '0 or 1',
    inKey: false,
    doc: 'verify the graph after every pass (1, the default) or not at all (0)',
  },
  UPDATE: { takes: '1', inKey: false, doc: 'tests: rewrite expected files instead of comparing with them' },
  FILTER: { takes: 'text', inKey: false, doc: 'tests: run only the cases whose name contains the text' },
  SEED: { takes: 'integer', inKey: false, doc: 'tests: replay a property test with the seed that its failure printed' },
  ULTRAMEM_CACHE: {
    takes: 'folder',
    inKey: false,
    doc: 'where built addons are kept, instead of the user cache folder',
  },
  CXX: { takes: 'program', inKey: true, doc: 'the C++ compiler to build with' },
  CXXFLAGS: { takes: 'flags', inKey: true, doc: 'flags for the C++ compiler, after those that ultramem chooses' },
  CUDA_HOME: { takes: 'folder', inKey: false, doc: 'the CUDA toolkit whose nvcc is taken, before the one on the PATH' },
} as const satisfies Record<string, Switch>;

export type SwitchName = keyof typeof switches;

/** What DEBUG shows at each level. */
export const debugLevels = {
  1: 'stages of a compilation and the time each took',
  2: 'the plan: every decision with its reason',
  3: 'passes that changed the graph, with node counts',
  4: 'the emitted source',
  5: 'the graph after every pass that changed it',
  6: 'compiler commands and their output',
} as const;

export type DebugLevel = keyof typeof debugLevels;

/** Value of a switch; undefined where it is unset or empty. Read at each call, so that a test can set it. */
export function readSwitch(name: SwitchName): string | undefined {
  const value = process.env[name];
  return value === undefined || value === '' ? undefined : value;
}

/** DEBUG as a level from 0 to 6; a value that is no number counts as 0, since other programs read DEBUG as well. */
export function debugLevel(): number {
  const level = Number(readSwitch('DEBUG') ?? 0);
  return Number.isFinite(level) ? Math.min(6, Math.max(0, Math.trunc(level))) : 0;
}

/** The switches that change a build, by name, sorted: part of the key of the build cache. */
export function switchesInKey(): Record<string, string> {
  const entries = (Object.keys(switches) as SwitchName[])
    .filter((name) => switches[name].inKey)
    .sort()
    .map((name) => [name, readSwitch(name) ?? ''] as const);
  return Object.fromEntries(entries);
}

/**
 * The environment for a child process: ours without `npm_*` and `DEBUG`-like variables that build tools would take for
 * their own settings, and with `extra` on top.
 */
export function childEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(npm_|NODE_OPTIONS$|DEBUG$|VERBOSE$|DUMP$)/i.test(name)) kept[name] = value;
  }
  return { ...kept, ...extra };
}
