import type { Call } from '../index.ts';
import { usageError } from './usage.ts';
import { choice } from './values.ts';

interface CallFlags {
  readonly check?: boolean;
  readonly call?: string;
  readonly print?: string;
}

/** `--check`, `--print WHAT[,format=json]` or `--call WHAT[,format=json]`. `isJson`: progress is JSON, so is the answer. */
export function parseCall({ check, call, print }: CallFlags, isJson: boolean): Call | undefined {
  const given = [check, call, print].filter((flag) => flag !== undefined);
  if (given.length > 1) throw usageError('--check, --call and --print exclude each other', 'give one of them');
  if (check) return { what: 'check', format: isJson ? 'json' : 'text' };
  if (print !== undefined) return parseWhat('--print', print, isJson);
  return call === undefined || call === 'build' ? undefined : parseWhat('--call', call, isJson);
}

function parseWhat(option: string, text: string, isJson: boolean): Call {
  const [name = '', ...rest] = text.split(',');
  const what = choice(option, name, ['graph', 'check', 'outline', 'targets']);
  if (what === 'graph') {
    if (rest.length > 0) throw usageError(`${option} "${text}" is not known`, `write ${option} graph`);
    return { what, format: 'text' };
  }
  let format: Call['format'] = isJson ? 'json' : 'text';
  for (const part of rest) {
    if (part === 'format=json') format = 'json';
    else if (part === 'format=text' || part === 'format=default') format = 'text';
    else throw usageError(`${option} "${text}" is not known`, `write ${option} ${what},format=json`);
  }
  return { what, format };
}
