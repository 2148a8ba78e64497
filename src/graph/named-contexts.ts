import { BuildError } from '../errors.ts';
import { formatPlatform, formatReference, type Platform, parsePlatform, parseReference } from '../oci/index.ts';
import { type Containerfile, type StageInstruction, suggest } from '../parser/index.ts';
import type { GraphWarning } from './graph.ts';
import type { GitOp, HttpOp } from './op.ts';

/** What `--build-context NAME=SOURCE` puts in the place of a stage or image. */
export type NamedContext =
  /** A local directory; the op that reads it has the context's name. */
  | { readonly type: 'directory' }
  | {
      readonly type: 'image';
      /** As FROM would name it, transports included. */
      readonly name: string;
    }
  | { readonly type: 'remote'; readonly op: HttpOp | GitOp };

/** By the name that the user gave: a stage's, or an image's; `::os/architecture` behind it limits it to a platform. */
export type NamedContexts = ReadonlyMap<string, NamedContext>;

export interface FoundContext {
  readonly name: string;
  readonly context: NamedContext;
}

/** BuildKit never replaces these. */
const RESERVED = ['scratch', 'context'];

/**
 * `alpine`, `docker.io/library/alpine` and `Alpine` are one name (BuildKit's dockerui NamedContext); what is no reference
 * can only be a stage's name.
 */
function normalizedName(name: string): string {
  try {
    return formatReference(parseReference(name.toLowerCase()));
  } catch {
    return name.toLowerCase();
  }
}

/** The one key of all spellings of a context's name. Throws `E_USAGE`, `E_BAD_PLATFORM`. */
export function contextKey(text: string): string {
  const at = text.indexOf('::');
  const name = at < 0 ? text : text.slice(0, at);
  if (name === '' || RESERVED.includes(name.toLowerCase())) {
    throw new BuildError('E_USAGE', `A build context cannot be called "${name}"`, {
      hint: 'Write --build-context NAME=SOURCE with the name of a stage, of an image, or one of your own',
    });
  }
  const platform = at < 0 ? '' : `::${formatPlatform(parsePlatform(text.slice(at + 2)))}`;
  return `${normalizedName(name)}${platform}`;
}

/** Finds contexts by the names of stages and images, and remembers which were found. */
export class ContextTable {
  readonly #byKey: ReadonlyMap<string, FoundContext>;
  readonly #used = new Set<string>();

  constructor(contexts: NamedContexts) {
    this.#byKey = new Map([...contexts].map(([name, context]) => [contextKey(name), { name, context }]));
  }

  /** One for this platform before one for all. */
  lookup(name: string, platform: Platform): FoundContext | undefined {
    if (this.#byKey.size === 0 || RESERVED.includes(name.toLowerCase())) return undefined;
    const key = normalizedName(name);
    const found = this.#byKey.get(`${key}::${formatPlatform(platform)}`) ?? this.#byKey.get(key);
    if (found) this.#used.add(found.name);
    return found;
  }

  /** A context that the file never names is probably misspelled. One that only an unneeded stage names is not. */
  unused(file: Containerfile): readonly GraphWarning[] {
    const names = [...this.#byKey.values()].map(({ name }) => name).filter((name) => !this.#used.has(name));
    if (names.length === 0) return [];
    const named = namesIn(file);
    const keys = new Set(named.map(normalizedName));
    return names
      .filter((name) => !keys.has(normalizedName(name.split('::')[0] ?? name)))
      .map((name) => {
        const near = suggest(name, named);
        return {
          message: `Build context "${name}" is not used: nothing in the file has that name`,
          hint:
            near === undefined
              ? `Name it with FROM ${name}, COPY --from=${name} or RUN --mount=from=${name}`
              : `Did you mean "${near}"?`,
        };
      });
  }
}

/** Whatever stands where a stage or an image may be named. */
const namesIn = (file: Containerfile): readonly string[] =>
  file.stages.flatMap(({ from, instructions }) => [
    from.image.text,
    ...(from.name === undefined ? [] : [from.name]),
    ...instructions.flatMap(namesOf),
  ]);

function namesOf(instruction: StageInstruction): readonly string[] {
  switch (instruction.kind) {
    case 'COPY':
      return instruction.from ? [instruction.from.text] : [];
    case 'RUN':
      return instruction.mounts.flatMap(({ fields }) =>
        fields.flatMap(({ key, value }) => (key === 'from' && value ? [value.text] : [])),
      );
    case 'ONBUILD':
      return namesOf(instruction.instruction);
    default:
      return [];
  }
}
