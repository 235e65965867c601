// Writing HTML: everything that goes into it is escaped, but for what was written here before.

/** Text that is HTML already. */
export interface Html {
  readonly html: string;
}

/** What a template takes: text is escaped, lists are joined, nothing is left out. */
export type Part = Html | string | number | undefined | readonly Part[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for the content of elements and for quoted attributes. */
export const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => entities[c]!);

/** HTML with its parts filled in. Attributes that take parts stand in quotes. */
export const html = (texts: TemplateStringsArray, ...parts: readonly Part[]): Html => ({
  html: texts.map((text, i) => text + (i < parts.length ? shown(parts[i]) : '')).join(''),
});

function shown(part: Part): string {
  if (part === undefined) return '';
  if (typeof part === 'string') return escaped(part);
  if (typeof part === 'number') return String(part);
  return 'html' in part ? part.html : part.map(shown).join('');
}

/** JSON for a script element: no text in it can end the element or open another. */
export const scriptJson = (value: unknown): Html => ({
  html: JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  ),
});
