import type { CacheTarget } from '../index.ts';
import { parseCsvRecord } from './csv.ts';
import { usageError } from './usage.ts';

const FROM_EXAMPLE = 'write --cache-from NAME, or type=local,src=DIR';
const TO_EXAMPLE = 'write --cache-to type=inline, NAME, type=registry,ref=NAME or type=local,dest=DIR';
/** Types of docker buildx that need services which this program does not talk to. */
const ELSEWHERE = ['gha', 's3', 'azblob'];

/** `NAME`, `type=registry,ref=NAME`, `type=local,src=DIR`: what the image is called. */
export function parseCacheSource(text: string): string {
  const spec = parseSpec('--cache-from', text, FROM_EXAMPLE);
  if (typeof spec === 'string') return spec;
  const { type, given } = spec;
  switch (type) {
    case 'registry':
      return requiredValue('--cache-from', given, { key: 'ref', all: ['ref'], example: FROM_EXAMPLE });
    case 'local':
      return `oci:${requiredValue('--cache-from', given, { key: 'src', all: ['src'], example: FROM_EXAMPLE })}:cache`;
    default:
      throw unknownType('--cache-from', type, FROM_EXAMPLE);
  }
}

/** `type=inline`, `NAME`, `type=registry,ref=NAME[,mode=max]`, `type=local,dest=DIR[,mode=max]`. */
export function parseCacheTarget(text: string): CacheTarget {
  const spec = parseSpec('--cache-to', text, TO_EXAMPLE);
  if (typeof spec === 'string') return { type: 'image', destination: `docker://${spec}`, mode: 'min' };
  const { type, given } = spec;
  const option = '--cache-to';
  switch (type) {
    case 'inline':
      requireKeys(option, given, { all: [], example: TO_EXAMPLE });
      return { type };
    case 'registry': {
      const ref = requiredValue(option, given, { key: 'ref', all: ['ref', 'mode'], example: TO_EXAMPLE });
      return { type: 'image', destination: `docker://${ref}`, mode: modeOf(given) };
    }
    case 'local': {
      const dest = requiredValue(option, given, { key: 'dest', all: ['dest', 'mode'], example: TO_EXAMPLE });
      return { type: 'image', destination: `oci:${dest}:cache`, mode: modeOf(given) };
    }
    default:
      throw unknownType(option, type, TO_EXAMPLE);
  }
}

type Given = ReadonlyMap<string, string>;

function parseSpec(option: string, text: string, example: string): string | { type: string; given: Given } {
  if (!text.includes('=')) return text;
  const given = new Map<string, string>();
  for (const field of parseCsvRecord(text)) {
    const equals = field.indexOf('=');
    if (equals < 1) throw usageError(`Cannot read ${option} "${text}": "${field}" is not KEY=VALUE`, example);
    given.set(field.slice(0, equals), field.slice(equals + 1));
  }
  const type = given.get('type');
  if (type === undefined) throw usageError(`${option} "${text}" has no type`, example);
  given.delete('type');
  return { type, given };
}

interface Keys {
  readonly all: readonly string[];
  readonly example: string;
}

function requireKeys(option: string, given: Given, { all, example }: Keys): void {
  const unknown = [...given.keys()].find((key) => !all.includes(key));
  if (unknown !== undefined) throw usageError(`Unknown key "${unknown}" in ${option}`, example);
}

function requiredValue(option: string, given: Given, { key, ...keys }: Keys & { readonly key: string }): string {
  requireKeys(option, given, keys);
  const value = given.get(key);
  if (value === undefined || value === '') throw usageError(`${option} has no ${key}`, keys.example);
  return value;
}

function modeOf(given: Given): 'min' | 'max' {
  const mode = given.get('mode') ?? 'min';
  if (mode === 'min' || mode === 'max') return mode;
  throw usageError(`--cache-to mode "${mode}" is not known`, 'choose one of: min, max');
}

function unknownType(option: string, type: string, example: string) {
  if (ELSEWHERE.includes(type)) return usageError(`${option} type "${type}" is not supported`, example);
  return usageError(`Unknown type "${type}" in ${option}`, example);
}
