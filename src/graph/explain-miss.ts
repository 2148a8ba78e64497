import { canonicalJson, type Json } from '../oci/index.ts';

type Members = { readonly [key: string]: Json | undefined };

const isMembers = (value: Json | undefined): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parsePreimage(text: string): Members | undefined {
  try {
    const value = JSON.parse(text) as Json; // JSON.parse gives JSON
    return isMembers(value) ? value : undefined;
  } catch {
    return undefined; // an older or damaged record: said in words by the caller
  }
}

const members = (value: Json | undefined): Members => (isMembers(value) ? value : {});
const differs = (a: Json | undefined, b: Json | undefined): boolean =>
  canonicalJson(a ?? null) !== canonicalJson(b ?? null);
const show = (value: Json | undefined): string =>
  typeof value === 'string' ? `"${value}"` : JSON.stringify(value ?? null);

/** Why a step is not taken from the cache: the first part of its key that differs, for machines and in words. */
export interface MissReason {
  readonly component: MissComponent;
  readonly reason: string;
}

export type MissComponent =
  | 'version'
  | 'instruction'
  | 'command'
  | 'definition'
  | 'environment'
  | 'sources'
  | 'platform'
  | 'times'
  | 'sandbox'
  | 'parent'
  | 'result';

function environmentChange(before: Members, after: Members): string | undefined {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  const name = names.find((candidate) => before[candidate] !== after[candidate]);
  if (name === undefined) return undefined;
  if (before[name] === undefined) return `environment ${name} was added with value ${show(after[name])}`;
  if (after[name] === undefined) return `environment ${name} was removed`;
  return `environment ${name} changed from ${show(before[name])} to ${show(after[name])}`;
}

/** Members of an op in the order in which a reader looks for the cause, with their names in prose. */
const FIELDS: readonly (readonly [string, string])[] = [
  ['argv', 'command'],
  ['files', 'script'],
  ['cwd', 'working directory'],
  ['user', 'user'],
  ['network', 'network'],
  ['destination', 'destination'],
  ['chown', 'owner (--chown)'],
  ['chmod', 'mode (--chmod)'],
  ['link', '--link'],
  ['parents', '--parents'],
  ['exclude', '--exclude'],
  ['mounts', '--mount'],
  ['pending', 'directories of WORKDIR'],
  ['reference', 'image'],
  ['digest', 'image content'],
];
/** Long, or structured: the fact is enough. */
const WITHOUT_VALUES: ReadonlySet<string> = new Set([
  'argv',
  'files',
  'pending',
  'link',
  'parents',
  'exclude',
  'mounts',
]);

function fieldChange(before: Members, after: Members): string | undefined {
  const field = FIELDS.find(([key]) => differs(before[key], after[key]));
  if (!field) return undefined;
  const [key, name] = field;
  if (WITHOUT_VALUES.has(key)) return `${name} changed`;
  if (before[key] === undefined) return `${name} was set to ${show(after[key])}`;
  if (after[key] === undefined) return `${name} was removed`;
  return `${name} changed from ${show(before[key])} to ${show(after[key])}`;
}

function sourcesChange(before: Members, after: Members): string | undefined {
  if (!differs(before.sources, after.sources)) return undefined;
  return 'list of sources or inline content changed';
}

function inputChange(before: Members, after: Members, changedFiles: string | undefined): MissReason | undefined {
  const kind = members(after.op).kind;
  if (differs(before.sources, after.sources)) {
    return { component: 'sources', reason: changedFiles ?? `${kind === 'run' ? 'mounted' : 'copied'} files changed` };
  }
  if (differs(before.platform, after.platform)) {
    const reason = `platform changed from ${show(before.platform)} to ${show(after.platform)}`;
    return { component: 'platform', reason };
  }
  if (differs(before.clampMtime, after.clampMtime)) return { component: 'times', reason: 'SOURCE_DATE_EPOCH changed' };
  if (differs(before.setMtime, after.setMtime)) return { component: 'times', reason: '--timestamp changed' };
  if (differs(before.sandbox, after.sandbox)) return { component: 'sandbox', reason: 'options of the sandbox changed' };
  if (differs(before.parent, after.parent))
    return { component: 'parent', reason: 'the step before it has another result' };
  return undefined;
}

function opChange(oldOp: Members, newOp: Members): MissReason | undefined {
  const field = fieldChange(oldOp, newOp);
  if (field !== undefined) {
    const isCommand = differs(oldOp.argv, newOp.argv) || differs(oldOp.files, newOp.files);
    return { component: isCommand ? 'command' : 'definition', reason: field };
  }
  const environment = environmentChange(members(oldOp.env), members(newOp.env));
  if (environment !== undefined) return { component: 'environment', reason: environment };
  const sources = sourcesChange(oldOp, newOp);
  return sources === undefined ? undefined : { component: 'definition', reason: sources };
}

/**
 * The first difference between two preimages of `cacheKey`: what the author changed comes before what only follows from an
 * earlier step. `changedFiles` says which files, where that is known. Values of the environment are shown as they are: they
 * are in the image's history, too.
 */
export function explainMiss(oldPreimage: string, newPreimage: string, changedFiles?: string): MissReason {
  const before = parsePreimage(oldPreimage);
  const after = parsePreimage(newPreimage);
  if (!before || !after || differs(before.$schema, after.$schema))
    return { component: 'version', reason: 'it was built by another version of tsbuild' };
  const oldOp = members(before.op);
  const newOp = members(after.op);
  if (oldOp.kind !== newOp.kind) return { component: 'instruction', reason: 'another instruction was here' };
  const change = opChange(oldOp, newOp) ?? inputChange(before, after, changedFiles);
  if (change) return change;
  return differs(before, after)
    ? { component: 'definition', reason: 'its definition changed' }
    : { component: 'result', reason: 'nothing changed, but its result is no longer stored' };
}
