import { canonicalJson, type Json } from './canonical-json.ts';

/** A place where two JSON values are not the same; undefined: it is missing there. Values as JSON text. */
export interface JsonDifference {
  /** `config.Env[2]`; the whole value is `''`. */
  readonly path: string;
  readonly one: string | undefined;
  readonly other: string | undefined;
}

/** In the order of the first value, then what only the second has. Objects are compared by members, arrays by position. */
export function jsonDifferences(one: Json | undefined, other: Json | undefined, path = ''): readonly JsonDifference[] {
  const [left, right] = [textOf(one), textOf(other)];
  if (left === right) return [];
  if (Array.isArray(one) && Array.isArray(other)) {
    const length = Math.max(one.length, other.length);
    return Array.from({ length }, (_, i) => jsonDifferences(one[i], other[i], `${path}[${i}]`)).flat();
  }
  if (isObject(one) && isObject(other)) {
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].flatMap((name) => jsonDifferences(one[name], other[name], memberPath(path, name)));
  }
  return [{ path, one: left, other: right }];
}

const textOf = (value: Json | undefined): string | undefined =>
  value === undefined ? undefined : canonicalJson(value);

const isObject = (value: Json | undefined): value is { readonly [name: string]: Json | undefined } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const memberPath = (path: string, name: string): string => {
  const isWord = /^[A-Za-z_][\w-]*$/.test(name);
  if (!isWord) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
};
