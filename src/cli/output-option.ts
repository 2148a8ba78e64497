import type { OutputSpec, PackingOptions } from '../index.ts';
import { parseCsvRecord } from './csv.ts';
import { usageError } from './usage.ts';
import { parseBoolean, parseCompression } from './values.ts';

const TYPES = ['oci', 'docker', 'local', 'tar'] as const;
const NOT_BUILT_YET = ['image', 'registry', 'cacheonly'];
const KEYS: readonly string[] = ['type', 'dest', 'compression', 'force-compression'];
const EXAMPLE = 'write type=oci|docker|local|tar and dest=PATH, e.g. -o type=oci,dest=image0.oci.tar';

/** `type=oci,dest=FILE`, or a bare directory as in docker (`-o out` means type=local, `-o -` means type=tar). */
export function parseOutput(text: string): OutputSpec {
  const fields = parseCsvRecord(text);
  if (fields.length === 1 && !text.includes('=')) return bareDestination(fields[0] ?? '');
  const given = new Map<string, string>();
  for (const field of fields) {
    const equals = field.indexOf('=');
    const key = equals < 0 ? field : field.slice(0, equals);
    if (equals < 0) throw usageError(`Cannot read output "${text}": "${field}" is not KEY=VALUE`, EXAMPLE);
    if (!KEYS.includes(key)) throw usageError(`Unknown key "${key}" in output "${text}"`, EXAMPLE);
    if (given.has(key)) throw usageError(`Key "${key}" is given twice in output "${text}"`, EXAMPLE);
    given.set(key, field.slice(equals + 1));
  }
  return toSpec(text, given);
}

function bareDestination(dest: string): OutputSpec {
  if (dest === '') throw usageError('The output is empty', EXAMPLE);
  return dest === '-' ? { type: 'tar', dest } : { type: 'local', dest };
}

function toSpec(text: string, given: ReadonlyMap<string, string>): OutputSpec {
  const [type, dest, packing] = [given.get('type'), given.get('dest'), packingOf(given)];
  if (type === undefined) throw usageError(`Output "${text}" has no type`, EXAMPLE);
  if (NOT_BUILT_YET.includes(type)) {
    throw usageError(`Output type "${type}" is not built yet`, 'every build is kept in the store; use "tsbuild push"');
  }
  const known = TYPES.find((candidate) => candidate === type);
  if (known === undefined) throw usageError(`Unknown output type "${type}"`, EXAMPLE);
  if (dest === undefined || dest === '') throw usageError(`Output "${text}" has no destination`, EXAMPLE);
  if (known === 'local' && dest === '-') {
    throw usageError('Output type "local" needs a directory, not "-"', 'use type=tar,dest=- for a stream');
  }
  if (known === 'oci') return { type: known, dest, packing };
  if (packing !== undefined) throw usageError(`Output type "${known}" has no compression`, 'use type=oci');
  return { type: known, dest };
}

/** As BuildKit spells them. */
function packingOf(given: ReadonlyMap<string, string>): PackingOptions | undefined {
  const compression = given.get('compression');
  const force = given.get('force-compression');
  if (compression === undefined && force === undefined) return undefined;
  return {
    compression: compression === undefined ? undefined : parseCompression('compression', compression),
    forceCompression: force === undefined ? undefined : parseBoolean('force-compression', force),
  };
}
