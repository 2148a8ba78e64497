import { usageError } from './usage.ts';

/** Splits one CSV record as Go's encoding/csv does (RFC 4180): `a,"b,c"` are two fields, `""` in quotes is one quote. */
export function parseCsvRecord(text: string): string[] {
  const fields: string[] = [];
  let rest = text;
  for (;;) {
    const match = rest.startsWith('"') ? /^"((?:[^"]|"")*)"(,|$)/s.exec(rest) : /^([^",]*)(,|$)/s.exec(rest);
    if (!match)
      throw usageError(`Cannot read "${text}": a quote is out of place`, 'quote a whole field: \'"dest=a,b"\'');
    fields.push((match[1] ?? '').replaceAll('""', '"'));
    rest = rest.slice(match[0].length);
    if (match[2] === '') return fields;
  }
}
