/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

const NONE: ReadonlySet<string> = new Set();

/**
 * One text for one value: keys sorted by UTF-16 code unit at every level, no white space, undefined members left out.
 * The text is built here because an object cannot hold the order: JavaScript puts keys like `9` and `10` first.
 * `unsorted`: names of members whose own members stay in the order that they have.
 */
export function canonicalJson(value: Json, unsorted: ReadonlySet<string> = NONE, isSorted = true): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, unsorted)).join(',')}]`;
  const members = Object.entries(value as { readonly [key: string]: Json | undefined }) // isArray does not narrow readonly arrays away
    .filter((entry): entry is [string, Json] => entry[1] !== undefined);
  if (isSorted) members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${members.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item, unsorted, !unsorted.has(key))}`).join(',')}}`;
}
