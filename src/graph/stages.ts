import { BuildError, type SourceRange } from '../errors.ts';
import type { Platform } from '../oci/index.ts';
import { type Containerfile, type StageSyntax, suggest, type Word } from '../parser/index.ts';
import { expandWord } from './expansion.ts';
import { ContextTable, type FoundContext } from './named-contexts.ts';
import type { ContextOp, GitOp, HttpOp } from './op.ts';
import { imageKey, type LowerOptions } from './options.ts';
import { parseMeantPlatform } from './platform-name.ts';
import { argValue, predefinedScope, type Scope, withArg } from './scope.ts';
import { stageHint } from './stage-hint.ts';

/** Where a stage's or a COPY's files come from. */
export type Origin =
  | { readonly type: 'stage'; readonly index: number }
  | ImageOrigin
  /** A named context that is no image: its files are the root. */
  | { readonly type: 'files'; readonly name: string; readonly op: ContextOp | HttpOp | GitOp }
  | { readonly type: 'scratch' };

export interface ImageOrigin {
  readonly type: 'image';
  readonly name: string;
  readonly platform: Platform;
  readonly range: SourceRange;
  /** In `BaseImages`. */
  readonly key: string;
}

interface Place {
  readonly platform: Platform;
  readonly range: SourceRange;
}

/** Throws `E_BAD_REFERENCE`, `E_UNSUPPORTED`, with their place. */
function imageOrigin(name: string, { platform, range }: Place): ImageOrigin {
  try {
    return { type: 'image', name, platform, range, key: imageKey(name, platform) };
  } catch (error) {
    throw error instanceof BuildError ? error.at(range) : error;
  }
}

const SHORTEST_TO_CORRECT = 3;

function globalScope(file: Containerfile, options: LowerOptions): Scope {
  return file.globalArgs
    .flatMap((instruction) => instruction.args)
    .reduce(
      (scope, { name, default: word }) => {
        const expandDefault = word && (() => expandWord(word, { scope, escape: file.directives.escape }));
        const value = argValue(name, { buildArgs: options.buildArgs, ...(expandDefault ? { expandDefault } : {}) });
        return withArg(scope, name, value);
      },
      predefinedScope(options, file.stages.at(-1)?.from.name),
    );
}

/** Names, indexes and origins of the stages. */
export class StageTable {
  readonly contexts: ContextTable;
  readonly global: Scope;
  readonly target: number;
  readonly #file: Containerfile;
  readonly #options: LowerOptions;
  readonly #origins = new Map<number, Origin>();

  constructor(file: Containerfile, options: LowerOptions) {
    this.#file = file;
    this.#options = options;
    this.contexts = new ContextTable(options.contexts);
    this.global = globalScope(file, options);
    this.target = this.#findTarget(options.target);
  }

  /** A stage whose name is a named context's is that context, and nothing of what it says is done. */
  syntax(index: number): StageSyntax {
    const { from, instructions } = this.#written(index);
    return { from, instructions: this.isReplaced(index) ? [] : instructions };
  }

  isReplaced(index: number): boolean {
    return this.#replacement(index) !== undefined;
  }

  /** Name, or index for a stage without one. */
  name(index: number): string {
    return this.#written(index).from.name ?? String(index);
  }

  origin(index: number): Origin {
    const known = this.#origins.get(index);
    if (known) return known;
    const origin = this.#resolveFrom(index);
    this.#origins.set(index, origin);
    return origin;
  }

  /** The platform of a stage: its own, or that of the stage it starts from. */
  platform(index: number): Platform {
    const origin = this.origin(index);
    switch (origin.type) {
      case 'stage':
        return this.platform(origin.index);
      case 'image':
        return origin.platform;
      case 'files':
      case 'scratch':
        return this.#requestedPlatform(index);
    }
  }

  /** What `COPY --from` in stage `index` names: an earlier stage, else an image. Throws `E_UNKNOWN_STAGE`. */
  copyOrigin(from: Word, index: number): Origin {
    const { text: name, range } = from;
    if (name.includes('$')) {
      throw new BuildError('E_EXPANSION', `Cannot use variables in --from=${name}`, {
        hint: 'Give the image a stage of its own, "FROM <image> AS source", and write --from=source',
        range,
      });
    }
    const earlier = this.#lookup(name, index);
    if (earlier !== undefined) return { type: 'stage', index: earlier };
    if (/^\d+$/.test(name) || this.#lookup(name, this.#file.stages.length) !== undefined)
      throw this.#notBefore(from, index);
    if (name === 'scratch') return { type: 'scratch' };
    return this.#namedOrigin(name, { platform: this.#options.platform, range });
  }

  #written(index: number): StageSyntax {
    const stage = this.#file.stages[index];
    if (!stage) throw new BuildError('E_INTERNAL', `There is no stage ${index}`);
    return stage;
  }

  #replacement(index: number): FoundContext | undefined {
    const { name } = this.#written(index).from;
    return name === undefined ? undefined : this.contexts.lookup(name, this.#requestedPlatform(index));
  }

  /** The last stage of that name (or that index) before `end`. */
  #lookup(name: string, end: number): number | undefined {
    const wanted = name.toLowerCase();
    const named = this.#file.stages.slice(0, end).findLastIndex((stage) => stage.from.name === wanted);
    if (named >= 0) return named;
    return /^\d+$/.test(name) && Number(name) < end ? Number(name) : undefined;
  }

  #names(end: number): string[] {
    return this.#file.stages.slice(0, end).flatMap(({ from }) => from.name ?? []);
  }

  #notBefore({ text, range }: Word, index: number): BuildError {
    const isSelf = this.#lookup(text, index + 1) === index;
    const why = isSelf ? 'a stage cannot copy from itself' : 'no stage before this one has that name or number';
    const names = this.#names(index);
    const near = suggest(text, names);
    const hint =
      near === undefined ? `Stages that can be copied from: ${names.join(', ') || 'none'}` : `Did you mean "${near}"?`;
    return new BuildError('E_UNKNOWN_STAGE', `Cannot copy from stage "${text}": ${why}`, { hint, range });
  }

  /** The stages that an option names, as `name` has them. Throws `E_UNKNOWN_STAGE`. */
  namedByUser(texts: readonly string[], option: string): ReadonlySet<string> {
    const { stages } = this.#file;
    return new Set(
      texts.map((text) => {
        const index = this.#lookup(text, stages.length);
        if (index !== undefined) return this.name(index);
        throw this.#unknown(`Cannot do as ${option} "${text}" says: there is no such stage`, text);
      }),
    );
  }

  #findTarget(target: string | undefined): number {
    const { stages } = this.#file;
    if (stages.length === 0) {
      throw new BuildError('E_PARSE', `${this.#file.source.name} has no FROM instruction`, {
        hint: 'Begin a stage with FROM <image>, or FROM scratch',
      });
    }
    if (target === undefined || target === '') return stages.length - 1;
    const index = this.#lookup(target, stages.length);
    if (index !== undefined) return index;
    throw this.#unknown(`Cannot build stage "${target}": there is no such stage`, target);
  }

  #unknown(message: string, text: string): BuildError {
    const { stages } = this.#file;
    const names = this.#names(stages.length);
    const near = suggest(text, names);
    const hint =
      near === undefined
        ? `Stages of this file: ${names.join(', ') || `0 to ${stages.length - 1}`}`
        : `Did you mean "${near}"?`;
    return new BuildError('E_UNKNOWN_STAGE', message, { hint });
  }

  #resolveFrom(index: number): Origin {
    const { image, range } = this.#written(index).from;
    const replaced = this.#replacement(index);
    if (replaced) return this.#contextOrigin(replaced, { platform: this.#requestedPlatform(index), range });
    const { from } = this.#options;
    const { text: name, unset } = index === 0 && from !== undefined ? { text: from } : this.#expand(image);
    if (name === '') {
      throw new BuildError('E_EXPANSION', `The image name "${image.text}" expands to nothing`, {
        hint: unset ?? 'FROM sees only ARGs declared before the first FROM; give one a default or pass --build-arg',
        range: image.range,
      });
    }
    const wanted = name.toLowerCase();
    const stage = this.#file.stages.slice(0, index).findLastIndex(({ from }) => from.name === wanted);
    if (stage >= 0) return { type: 'stage', index: stage };
    if (name === 'scratch') return { type: 'scratch' };
    const where = { platform: this.#requestedPlatform(index), range: image.range };
    return orExplain(() => this.#namedOrigin(name, where), unset, image.range);
  }

  #namedOrigin(name: string, where: Place): Origin {
    const found = this.contexts.lookup(name, where.platform);
    if (found) return this.#contextOrigin(found, where);
    try {
      return imageOrigin(name, where);
    } catch (error) {
      const hint = stageHint(this.#file, name);
      if (!(error instanceof BuildError) || hint === undefined) throw error;
      throw new BuildError(error.code, error.message, { hint, range: error.range, cause: error.cause });
    }
  }

  #contextOrigin({ name, context }: FoundContext, where: Place): Origin {
    switch (context.type) {
      case 'directory':
        return { type: 'files', name, op: { kind: 'context', name } };
      case 'remote':
        return { type: 'files', name, op: context.op };
      case 'image':
        return context.name === 'scratch' ? { type: 'scratch' } : imageOrigin(context.name, where);
      default:
        throw context satisfies never;
    }
  }

  #requestedPlatform(index: number): Platform {
    const { platform } = this.#written(index).from;
    if (!platform) return this.#options.platform;
    const { text, unset } = this.#expand(platform);
    if (text !== '') return orExplain(() => parseMeantPlatform(text), unset, platform.range);
    throw new BuildError('E_EXPANSION', `The platform "${platform.text}" expands to nothing`, {
      hint: unset ?? 'FROM sees only ARGs declared before the first FROM; give one a default or pass --build-arg',
      range: platform.range,
    });
  }

  /** With what FROM lines see. `unset`: what to say of a variable without a value that may be why the text is wrong. */
  #expand(word: Word): { text: string; unset?: string } {
    let unset: string | undefined;
    const onUndefined = (name: string): void => {
      // Declared without a value: empty on purpose, as far as anybody can tell.
      if (!this.global.args.has(name)) unset ??= explainUnset(name, this.global);
    };
    const text = expandWord(word, { scope: this.global, escape: this.#file.directives.escape, onUndefined });
    return unset === undefined ? { text } : { text, unset };
  }
}

function explainUnset(name: string, { args }: Scope): string {
  // One wrong letter in a short name is another name.
  const near = name.length < SHORTEST_TO_CORRECT ? undefined : suggest(name, args.keys());
  const advice = near === undefined ? `Declare it with ARG ${name} before the first FROM` : `Did you mean "${near}"?`;
  return `Variable "${name}" is not set here and expands to nothing. ${advice}`;
}

/** A mistake in an expanded text gets its place, and the unset variable as its likely cause. */
function orExplain<T>(read: () => T, unset: string | undefined, range: SourceRange): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    if (unset === undefined) throw error.at(range);
    throw new BuildError(error.code, error.message, { hint: unset, range, cause: error });
  }
}
