// GET /v1/models, /health and /metrics: what is served, and how it stands.

import type { FastifyInstance } from 'fastify';
import { ApiError } from './api-error.ts';
import { type ServedModel, sequencesInUse } from './served-model.ts';

export function status(app: FastifyInstance, served: ServedModel): void {
  const { id, created, line, requests, sequences, counts } = served;
  const entry = { id, object: 'model', created, owned_by: 'ultramem' };
  app.get('/v1/models', async () => ({ object: 'list', data: [entry] }));
  app.get<{ Params: { id: string } }>('/v1/models/:id', async ({ params }) => {
    if (params.id !== id) throw new ApiError(404, 'model_not_found', `there is only ${id} here`, { param: 'model' });
    return entry;
  });
  app.get('/health', async (_, reply) => {
    reply.code(requests.draining ? 503 : 200);
    return {
      status: requests.draining ? 'draining' : 'ready',
      model: id,
      requests: requests.open,
      sequences: { in_use: sequencesInUse(served), total: sequences.count },
      waiting: { now: line.waiting, most: line.mostWaiting },
    };
  });
  app.get('/metrics', async (_, reply) => {
    reply.type('text/plain; version=0.0.4; charset=utf-8');
    return [
      '# TYPE ultramem_answers_total counter',
      ...[...counts.statuses].map(([code, count]) => `ultramem_answers_total{status="${code}"} ${count}`),
      '# TYPE ultramem_generated_tokens_total counter',
      `ultramem_generated_tokens_total ${counts.generatedTokens}`,
      '# TYPE ultramem_sequences_in_use gauge',
      `ultramem_sequences_in_use ${sequencesInUse(served)}`,
      '# TYPE ultramem_generations_waiting gauge',
      `ultramem_generations_waiting ${line.waiting}`,
      '',
    ].join('\n');
  });
}
