// A kernel launch on a device, as final data: which function of native/cuda, its constants, its pointers, its shape.

import type { Loc, Type, ValueId } from '../../ir/graph.ts';
import type { Kernel } from '../launch.ts';
import type { Count, Launch, SampleStep, Variant, View } from '../types.ts';

/** Blocks of a grid or threads of a block, by x, y, z. */
export type Extent3 = readonly [x: number, y: number, z: number];

/** An operand of a kernel. `update`: read and written in place. */
export interface DevicePointer {
  readonly name: string;
  /** Null: the kernel is handed a null pointer. */
  readonly view: View | null;
  readonly access: 'read' | 'write' | 'update';
}

/**
 * One launch of `ultramem::cuda::<kernel>`, a device function template of native/cuda/<header>.cuh. It is called as
 * `kernel<constants…>(rows, pointers…, scalars…)`.
 */
export interface DeviceLaunch {
  readonly kernel: string;
  readonly header: string;
  /** Template arguments; a list of numbers becomes `Ints<…>`. */
  readonly constants: readonly (number | boolean | string | readonly number[])[];
  /** Becomes a type with `apply` and is the first template argument: the expression of an elementwise kernel. */
  readonly map?: { readonly expr: string; readonly literals: Readonly<Record<string, number>> };
  readonly rows: Count;
  /** In the order of the function's parameters. */
  readonly pointers: readonly DevicePointer[];
  /** Numbers behind the pointers: eps, scale, theta. */
  readonly scalars: readonly number[];
  /** For the variant's largest T; blocks beyond the rows of a step return at once. */
  readonly grid: Extent3;
  readonly block: Extent3;
  /** Bytes of dynamic shared memory. */
  readonly shared: number;
  /** Where partial results split a cache: positions that one of them covers. */
  readonly part?: number;
  /** 0, or 1 where it may run beside launches of stream 0. */
  readonly stream: number;
  /** Latest launch of the other stream that must be done before it, where its stream has not waited for that already. */
  readonly after?: number;
  readonly computes: string;
  /** As those of a launch of the plan. */
  readonly nodes: readonly ValueId[];
  readonly loc: Loc | undefined;
}

/** Launches that a device runs at a time: those of a variant, or those that choose tokens. */
export type DeviceStep = Variant<DeviceLaunch> | SampleStep<DeviceLaunch>;

/** Where lowering puts its launches, and what it may ask. */
export interface DeviceScheduler {
  /** Largest T of the variant; 1 in the variant of one token. */
  readonly maxTokens: number;
  /** Rows at the variant's largest T. */
  rowsAtMost(rows: Count): number;
  /** Memory for something that is no value of the graph: partial results. */
  temporary(base: string, type: Type): View;
  emit(
    launch: Omit<DeviceLaunch, 'computes' | 'nodes' | 'loc' | 'shared' | 'stream' | 'after'> & {
      readonly shared?: number;
    },
  ): void;
  /** Records a choice with its reason. */
  decide(subject: string, choice: string, reason: string): void;
}

/** One kernel of the plan as launches on a device. @throws UltramemError `unsupported-shape` with the limit and what broke it */
export type Lower<K extends Kernel> = (launch: Launch<K>, at: DeviceScheduler) => void;
