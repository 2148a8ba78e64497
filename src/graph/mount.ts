import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import type { MountSyntax } from '../parser/index.ts';
import { MountFields, mountFrom } from './mount-fields.ts';
import { bindSource, type Mounting } from './mount-roots.ts';
import type { RunMount } from './op.ts';
import { buildArg } from './scope.ts';
import { expandIn } from './step-context.ts';

/** `RUN --mount`: rules and defaults of BuildKit (containerfile-reference 1.6); what means nothing there is an error here. */

type MountType = RunMount['type'];

const TYPES: readonly MountType[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'];

const KEYS: Readonly<Record<MountType, readonly string[]>> = {
  bind: ['target', 'source', 'from', 'readonly', 'readwrite'],
  cache: ['target', 'source', 'from', 'readonly', 'readwrite', 'id', 'sharing', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'readonly', 'readwrite', 'size'],
  secret: ['target', 'source', 'readonly', 'id', 'env', 'required', 'mode', 'uid', 'gid'],
  ssh: ['target', 'readonly', 'id', 'required', 'mode', 'uid', 'gid'],
};

const SECRETS = '/run/secrets';
const AGENTS = '/run/buildkit/ssh_agent';

/** The mounts of a RUN, in the order in which they are written; `roots` collects the nodes that they read. */
export function lowerMounts(
  mounts: readonly MountSyntax[],
  place: Pick<Mounting, 'state' | 'context' | 'roots'>,
): readonly RunMount[] {
  const lowered: RunMount[] = [];
  for (const syntax of mounts) {
    const fields = new MountFields(syntax, (word) => expandIn(word, place.state, place.context));
    const agents = lowered.filter(({ type }) => type === 'ssh').length;
    lowered.push(lowerMount({ ...place, syntax, fields, agents }));
  }
  return lowered;
}

function lowerMount(mounting: Mounting): RunMount {
  const { fields } = mounting;
  const type = fields.choice('type', TYPES, 'bind');
  refuseForeignKeys(fields, type);
  switch (type) {
    case 'bind':
      return lowerBind(mounting);
    case 'cache':
      return lowerCache(mounting);
    case 'tmpfs': {
      const sizeBytes = fields.size();
      const common = { type, target: targetOf(mounting), readOnly: fields.readOnly() ?? false, range: fields.range };
      return sizeBytes === undefined ? common : { ...common, sizeBytes };
    }
    case 'secret':
      return lowerSecret(mounting);
    case 'ssh':
      return {
        type,
        id: fields.text('id') ?? 'default',
        target: fields.text('target') === undefined ? `${AGENTS}.${mounting.agents}` : targetOf(mounting),
        required: fields.boolean('required') ?? false,
        ...ownerOf(fields, 0o600),
        range: fields.range,
      };
    default:
      return type satisfies never;
  }
}

function refuseForeignKeys(fields: MountFields, type: MountType): void {
  const key = fields.keys().find((name) => name !== 'type' && !KEYS[type].includes(name));
  if (key !== undefined) {
    const home = TYPES.filter((candidate) => KEYS[candidate].includes(key));
    throw fields.error(key, `A mount of type ${type} has no "${key}"`, {
      hint: `It belongs to type ${home.join(' or ')}; a ${type} mount has ${KEYS[type].join(', ')}`,
    });
  }
  const isAlwaysReadOnly = type === 'secret' || type === 'ssh';
  if (isAlwaysReadOnly && fields.readOnly() === false) {
    throw fields.error('readonly', `A mount of type ${type} cannot be writable`, { hint: 'Leave it out' });
  }
}

function lowerBind(mounting: Mounting): RunMount {
  const { fields } = mounting;
  const source = posix.resolve('/', fields.text('source') ?? '');
  const target = targetOf(mounting);
  const input = bindSource(mounting, source);
  return { type: 'bind', target, input, source, readOnly: fields.readOnly() ?? true, range: fields.range };
}

function lowerCache(mounting: Mounting): RunMount {
  const { fields, syntax, context, roots } = mounting;
  const target = targetOf(mounting);
  const source = posix.resolve('/', fields.text('source') ?? '');
  const from = mountFrom(syntax);
  const id = fields.text('id') ?? posix.normalize(fields.text('target') ?? '');
  const namespace = buildArg(context.options.buildArgs, 'BUILDKIT_CACHE_MOUNT_NS');
  return {
    type: 'cache',
    target,
    id: namespace ? `${namespace}//${id}` : id,
    sharing: fields.choice('sharing', ['shared', 'private', 'locked'], 'shared'),
    readOnly: fields.readOnly() ?? false,
    ...(from === undefined ? {} : { input: from.text === 'scratch' ? roots.empty() : bindSource(mounting, source) }),
    source,
    ...ownerOf(fields, 0o755),
    range: fields.range,
  };
}

function lowerSecret(mounting: Mounting): RunMount {
  const { fields } = mounting;
  const [id, source, written] = [fields.text('id'), fields.text('source'), fields.text('target')];
  if (id !== undefined && source !== undefined) {
    throw fields.error('source', 'A secret cannot have both "id" and "source": they mean the same', {
      hint: 'Keep id=',
    });
  }
  const name = id ?? source ?? (written === undefined ? undefined : posix.basename(written));
  if (name === undefined) {
    throw fields.error('type', 'A secret needs an id', { hint: 'Write --mount=type=secret,id=NAME' });
  }
  const env = fields.text('env');
  const target = written === undefined ? `${SECRETS}/${posix.basename(name)}` : targetOf(mounting);
  return {
    type: 'secret',
    id: name,
    ...(env !== undefined && written === undefined ? {} : { target }),
    ...(env === undefined ? {} : { env: checkedEnv(fields, env) }),
    required: fields.boolean('required') ?? false,
    ...ownerOf(fields, 0o400),
    range: fields.range,
  };
}

function checkedEnv(fields: MountFields, name: string): string {
  if (!/[=\0]/.test(name)) return name;
  throw fields.error('env', `A variable cannot be called "${name}"`, { hint: 'Write env=NAME' });
}

const ownerOf = (fields: MountFields, mode: number): { mode: number; uid: number; gid: number } => ({
  mode: fields.mode(mode),
  uid: fields.id('uid'),
  gid: fields.id('gid'),
});

/** Absolute and clean; a relative one is joined to WORKDIR. */
function targetOf({ fields, state }: Mounting): string {
  const written = fields.text('target');
  if (written === undefined) {
    throw fields.error('target', 'The mount has no target', { hint: 'Say where it appears: target=/path' });
  }
  const target = posix.resolve('/', state.config.WorkingDir || '/', written);
  if (target === '/') {
    throw fields.error('target', 'Cannot mount over the root directory', { hint: 'Choose a directory below it' });
  }
  if (target === '/proc' || target.startsWith('/proc/')) {
    throw new BuildError('E_PARSE', `Cannot mount at "${target}": /proc belongs to the sandbox`, {
      hint: 'Choose a target outside of /proc',
      range: fields.rangeOf('target'),
    });
  }
  return target;
}
