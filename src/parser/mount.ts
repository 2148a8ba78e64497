import type { MountField, MountSyntax, Word } from './instructions.ts';

/** The value of `--mount`: comma-separated `key=value` or `key` (BuildKit: one CSV record). */
export function parseMount(value: Word): MountSyntax {
  return { fields: value.text.split(',').map((text) => field(text, value.range)), range: value.range };
}

function field(text: string, range: Word['range']): MountField {
  const equals = text.indexOf('=');
  if (equals < 0) return { key: text.toLowerCase(), range };
  return { key: text.slice(0, equals).toLowerCase(), value: { text: text.slice(equals + 1), range }, range };
}
