// How much memory the process can still take: of the machine, of its control groups, and by its own limits. Linux; elsewhere unknown.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Bytes that can be had, and what allows no more. */
export interface MemoryRoom {
  readonly bytes: number;
  readonly limit: string;
}

/**
 * The least of all that limits memory of the process's own. Pages of mapped files count for none of them: they go when room is
 * needed. `root`: of the file system, for tests. Undefined where nothing is known.
 */
export function memoryRoom(root = '/'): MemoryRoom | undefined {
  const rooms = [machineRoom(root), ...groupRooms(root), dataRoom(root)].filter((room) => room !== undefined);
  return rooms.sort((a, b) => a.bytes - b.bytes)[0];
}

function machineRoom(root: string): MemoryRoom | undefined {
  const info = read(root, 'proc/meminfo');
  const available = kilobytes(info, 'MemAvailable');
  if (available === undefined) return undefined;
  return { bytes: available + (kilobytes(info, 'SwapFree') ?? 0), limit: 'the memory of the machine' };
}

/** Of the group of the process and all around it; version 2 of control groups, and version 1. */
function groupRooms(root: string): MemoryRoom[] {
  const lines = read(root, 'proc/self/cgroup')?.split('\n') ?? [];
  const rooms = lines.map((line) => {
    const [, controllers, path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '') return ancestors('sys/fs/cgroup', path).map((group) => unifiedRoom(root, group));
    if (!controllers?.split(',').includes('memory')) return [];
    return ancestors('sys/fs/cgroup/memory', path).map((group) => legacyRoom(root, group));
  });
  return rooms.flat().filter((room) => room !== undefined);
}

/** Groups from the innermost to the mount, which in a container is the process's own. */
function ancestors(mount: string, path: string): string[] {
  const groups = [mount];
  for (let at = path; at !== '/' && at !== '.' && at !== ''; at = dirname(at)) groups.unshift(join(mount, at));
  return groups;
}

function unifiedRoom(root: string, group: string): MemoryRoom | undefined {
  const stat = read(root, join(group, 'memory.stat'));
  const pages = (field(stat, 'inactive_file') ?? 0) + (field(stat, 'active_file') ?? 0);
  return groupRoom(number(root, join(group, 'memory.max')), number(root, join(group, 'memory.current')), pages);
}

function legacyRoom(root: string, group: string): MemoryRoom | undefined {
  const stat = read(root, join(group, 'memory.stat'));
  const pages = (field(stat, 'total_inactive_file') ?? 0) + (field(stat, 'total_active_file') ?? 0);
  const limit = number(root, join(group, 'memory.limit_in_bytes'));
  return groupRoom(limit, number(root, join(group, 'memory.usage_in_bytes')), pages);
}

/** Unlimited groups say `max`, or a number that no machine has. */
function groupRoom(limit: number | undefined, used: number | undefined, pages: number): MemoryRoom | undefined {
  if (limit === undefined || used === undefined || limit > 2 ** 52) return undefined;
  return { bytes: Math.max(0, limit - Math.max(0, used - pages)), limit: `a control group of ${limit} bytes` };
}

/** By `ulimit -d`: private memory that can be written. */
function dataRoom(root: string): MemoryRoom | undefined {
  const limit = /^Max data size +(\d+)/m.exec(read(root, 'proc/self/limits') ?? '')?.[1];
  const used = kilobytes(read(root, 'proc/self/status'), 'VmData');
  if (limit === undefined || used === undefined) return undefined;
  return { bytes: Math.max(0, Number(limit) - used), limit: `a limit of ${limit} bytes on data (ulimit -d)` };
}

function read(root: string, path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return undefined;
  }
}

function number(root: string, path: string): number | undefined {
  const text = read(root, path)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** `name 123` of a memory.stat. */
function field(text: string | undefined, name: string): number | undefined {
  const value = new RegExp(`^${name} (\\d+)$`, 'm').exec(text ?? '')?.[1];
  return value === undefined ? undefined : Number(value);
}

/** `name:  123 kB`, in bytes. */
function kilobytes(text: string | undefined, name: string): number | undefined {
  const value = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text ?? '')?.[1];
  return value === undefined ? undefined : Number(value) * 1024;
}
