// How tokens are chosen and when they end: options of `generate`, and what /set changes while it runs on a terminal.

import Table from 'cli-table3';
import { InvalidArgumentError, Option } from 'commander';
import { didYouMean } from '../support/suggest.ts';
import { numberBetween, wholeNumber } from './options.ts';
import { plainTable } from './table.ts';

/** Values of the options, by the names that GenerateOptions has for them. */
export interface GenerationSettings {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
}

export const generationOptions = (): readonly Option[] => [
  new Option('--max-tokens <n>', 'most tokens to generate').argParser(wholeNumber(1)).default(64),
  new Option('--temperature <t>', 'draw tokens, logits divided by t').argParser(numberBetween(0, 100)),
  new Option('--top-k <k>', 'draw from the k most probable tokens').argParser(wholeNumber(1)),
  new Option('--top-p <p>', 'draw from the fewest tokens that reach this probability').argParser(numberBetween(0, 1)),
  new Option('--seed <n>', 'same seed, same text').argParser(wholeNumber(0)),
  new Option('--stop <text...>', 'end before this text'),
];

/** The settings among all flags of a verb; those that were not given are left out. */
export function settingsOf(flags: GenerationSettings): GenerationSettings {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  const names = generationOptions().map((option) => option.attributeName());
  return Object.fromEntries(given.filter(([name]) => names.includes(name))) as unknown as GenerationSettings;
}

/** Whether settings ask for something that only drawing heeds, and tokens are not drawn. */
export const waitsForTemperature = ({ topK, topP, seed, temperature }: GenerationSettings): boolean =>
  (topK !== undefined || topP !== undefined || seed !== undefined) && temperature === undefined;

/**
 * Settings with one changed by its name and value (`temperature 0.8`), or put back where there is no value. \n in a stop text is a newline.
 * @throws InvalidArgumentError
 */
export function withSetting(settings: GenerationSettings, words: string): GenerationSettings {
  const [, name = '', value = ''] = /^(?:--)?(\S+)\s*(.*)$/.exec(words) ?? [];
  const options = generationOptions();
  const option = options.find((one) => one.name() === name);
  if (option === undefined) {
    const names = options.map((one) => one.name());
    throw new InvalidArgumentError(
      `There is no option ${name}.${didYouMean(name, names)} There are ${names.join(', ')}.`,
    );
  }
  const { [option.attributeName() as 'seed']: _, ...others } = settings;
  if (value === '') {
    return { ...others, ...(option.defaultValue !== undefined && { [option.attributeName()]: option.defaultValue }) };
  }
  const read = option.variadic ? [value.replaceAll('\\n', '\n')] : option.parseArg!(value, undefined);
  return { ...others, [option.attributeName()]: read };
}

/** One line per option: its name, its value, what it does. `only`: of this option alone. */
export function settingsTable(settings: GenerationSettings, only = ''): string {
  const table = new Table(plainTable([]));
  for (const option of generationOptions().filter((one) => only === '' || one.name() === only)) {
    const value = settings[option.attributeName() as keyof GenerationSettings];
    table.push([option.name(), value === undefined ? '' : JSON.stringify(value), option.description]);
  }
  return table.toString();
}
