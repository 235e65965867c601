// Views of templates/cpu/model.cc and schedules.h: descriptors of the model's tensors and its entry points.

import { deviceSteps, type Plan } from '../../plan/plans.ts';
import type { PlanTensor } from '../../plan/types.ts';
import { stringLiteral } from '../cpp.ts';
import { prepareWork } from './schedule.ts';

export function schedulesView(plan: Plan, source: string): object {
  const steps = plan.variants.map((v) => `step_${v.name}`);
  const onCpu = plan.target === 'cpu';
  return {
    source,
    headers: [...(onCpu ? [] : ['addon/launch_list.h']), 'addon/model.h'],
    functions: [
      { name: 'prepare', argsType: 'PrepareArgs' },
      ...(onCpu ? steps.map((name) => ({ name, argsType: 'StepArgs' })) : []),
    ],
    declarations: onCpu
      ? []
      : [
          ...deviceSteps(plan).map(({ name }) => `extern const LaunchList step_${name};`),
          'addon::Device* open_device();',
        ],
  };
}

export function modelView(plan: Plan, source: string): object {
  const symbolIndex = new Map(plan.symbols.map((s, i) => [s.name, i]));
  /** Sizes stand for themselves, symbols as -(1 + index). */
  const dim = (d: number | string): number => (typeof d === 'number' ? d : -(1 + symbolIndex.get(d)!));
  const row = (t: PlanTensor): string => {
    const dims = t.type.shape.length === 0 ? '{}' : `{ ${t.type.shape.map(dim).join(', ')} }`;
    const below = t.below === undefined ? 0 : dim(t.below);
    return `{ ${stringLiteral(t.name)}, DType::${t.type.dtype}, ${t.type.shape.length}, ${dims}, ${below}, ${t.optional}, ${t.retained}, ${t.placement === 'file'} }`;
  };
  const fields = 'name, dtype, rank, dims, below, optional, retained, in file';
  const tables = [
    {
      name: 'symbols',
      type: 'SymbolSpec',
      comment: 'name, bound, per step',
      rows: plan.symbols.map((s) => `{ ${stringLiteral(s.name)}, ${s.bound}, ${s.scope === 'step'} }`),
    },
    ...(['inputs', 'outputs', 'weights', 'states'] as const).map((name) => ({
      name,
      type: 'TensorSpec',
      comment: fields,
      rows: plan[name].map(row),
    })),
  ];
  const onCpu = plan.target === 'cpu';
  return {
    source,
    name: plan.name,
    nameLiteral: stringLiteral(plan.name),
    tables: tables.filter((t) => t.rows.length > 0),
    lists: tables.map((t) => (t.rows.length > 0 ? `${t.name}, ${t.rows.length}` : 'nullptr, 0')),
    preparedBytes: plan.preparedBytes,
    scratchBytes: plan.prepare.bytes,
    prepareWork: prepareWork(plan.prepare),
    variants: plan.variants.map((v) => ({
      name: v.name,
      maxTokens: v.maxTokens,
      arenaBytes: v.bytes,
      step: onCpu ? `step_${v.name}, nullptr` : `nullptr, &step_${v.name}`,
    })),
    variantCount: plan.variants.length,
    device: onCpu ? 'nullptr' : `open_device${plan.sample === undefined ? '' : ', &step_sample'}`,
    scratch: ['prepare_scratch', ...(onCpu ? plan.variants.map((v) => `step_${v.name}_scratch`) : [])].join(', '),
  };
}
