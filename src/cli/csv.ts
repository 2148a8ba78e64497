import { splitCsv } from '../index.ts';
import { usageError } from './usage.ts';

/** Splits one CSV record: `a,"b,c"` are two fields. */
export function parseCsvRecord(text: string): string[] {
  const fields = splitCsv(text);
  if (!fields)
    throw usageError(`Cannot read "${text}": a quote is out of place`, 'quote a whole field: \'"dest=a,b"\'');
  return fields.map((field) => field.text);
}
