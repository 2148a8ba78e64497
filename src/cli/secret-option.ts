import type { SecretSource } from '../index.ts';
import { parseCsvRecord } from './csv.ts';
import { nearest, usageError } from './usage.ts';

const KEYS = ['id', 'src', 'source', 'env', 'type'];
const EXAMPLE = 'write --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE';

/** `id=ID[,type=file|env][,src=FILE|,env=NAME]`, as docker buildx reads it. The last of one id wins. */
export const parseSecrets = (texts: readonly string[]): readonly SecretSource[] => texts.map(parseSecret);

function parseSecret(text: string): SecretSource {
  const given = new Map<string, string>();
  for (const field of parseCsvRecord(text)) {
    const equals = field.indexOf('=');
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    if (!KEYS.includes(key)) {
      const near = nearest(key, KEYS);
      throw usageError(`Unknown key "${key}" in --secret`, near === undefined ? EXAMPLE : `did you mean "${near}"?`);
    }
    if (equals < 0 || field.length === equals + 1) throw usageError(`Key "${key}" in --secret has no value`, EXAMPLE);
    given.set(key === 'source' ? 'src' : key, field.slice(equals + 1));
  }
  return toSource(given);
}

function toSource(given: ReadonlyMap<string, string>): SecretSource {
  const [id, src, env, type] = ['id', 'src', 'env', 'type'].map((key) => given.get(key));
  if (id === undefined) throw usageError('--secret has no id', EXAMPLE);
  if (type !== undefined && type !== 'file' && type !== 'env') {
    throw usageError(`--secret type "${type}" is not known`, 'choose one of: file, env');
  }
  if (src !== undefined && env !== undefined) throw usageError(`--secret id=${id} has both src and env`, 'keep one');
  if (type === 'env') return { id, env: env ?? src ?? id };
  if (env !== undefined && type === 'file') throw usageError(`--secret id=${id} of type file has env`, EXAMPLE);
  if (env !== undefined) return { id, env };
  return src !== undefined || type === 'file' ? { id, file: src ?? id } : { id };
}
