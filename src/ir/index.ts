// The graph and everything done to it short of passes.

export { attrsOf, inferTypes, makeNode, type Operand } from './build-node.ts';
export { callsOf, type Expression, evaluator, expressionText, operandsOf, parseExpression } from './expression.ts';
export * from './graph.ts';
export { Interpreter, interpret, type Settle, type StepResult, type Tensors } from './interpret.ts';
export { type Equation, parseEquation } from './labels.ts';
export { type Match, matches, Uses } from './match.ts';
export { type Cost, isProblem, type Op, type Problem, type Symbols, sizeOf, stateOperands } from './op.ts';
export { type GatherEquation, parseGather } from './ops/gather.ts';
export { type AttrsOf, fusedOps, isKind, type Kind, ops, primitiveOps } from './ops/index.ts';
export { parse } from './parse.ts';
export { nodeText, print, valueNames } from './print.ts';
export { live, ordered, Rewriter } from './rewrite.ts';
export { bareEdit, type Edit, type Origin, type Removal, Trail } from './trail.ts';
export { faultsOf, verify } from './verify.ts';
