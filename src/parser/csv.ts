export interface CsvField {
  readonly text: string;
  /** Where it stands in the record, quotes included. */
  readonly from: number;
  readonly to: number;
}

/**
 * Splits one CSV record as Go's encoding/csv does (RFC 4180): `a,"b,c"` are two fields, `""` in quotes is one quote.
 * undefined: a quote is out of place.
 */
export function splitCsv(record: string): readonly CsvField[] | undefined {
  const fields: CsvField[] = [];
  let from = 0;
  for (;;) {
    const rest = record.slice(from);
    const match = rest.startsWith('"') ? /^"((?:[^"]|"")*)"(,|$)/s.exec(rest) : /^([^",]*)(,|$)/s.exec(rest);
    if (!match) return undefined;
    const [whole, text = '', end = ''] = match;
    fields.push({ text: text.replaceAll('""', '"'), from, to: from + whole.length - end.length });
    from += whole.length;
    if (end === '') return fields;
  }
}
