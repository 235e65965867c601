// Faults that a schema finds → errors that name the field and what it must be.

import { type ApiError, badRequest } from './api-error.ts';

/** What Ajv says of a fault, told to be verbose. */
export interface SchemaFault {
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly parentSchema?: Schema;
}

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** @param faults the last is the one of the whole field, where a field may be one of several things */
export function validationError(faults: readonly SchemaFault[]): ApiError {
  const { instancePath, keyword, params, parentSchema } = faults.at(-1)!;
  const at = fieldOf(instancePath);
  if (keyword === 'required') {
    const missing = String(params.missingProperty);
    const field = at === '' ? missing : `${at}.${missing}`;
    return badRequest('missing_field', `${field} is missing${mustBe(parentSchema?.properties?.[missing])}`, field);
  }
  if (at === '') return badRequest('invalid_type', 'the body must be a JSON object');
  return badRequest('invalid_value', `${at} is not valid${mustBe(parentSchema)}`, at);
}

const mustBe = (schema: Schema | undefined): string =>
  schema?.description === undefined ? '' : `; it must be ${schema.description}`;

/** `/messages/0/role` → `messages[0].role`. */
const fieldOf = (path: string): string =>
  path
    .slice(1)
    .replaceAll(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.');
