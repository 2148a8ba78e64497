import { posix } from 'node:path';
import type { SourceFile, SourceRange } from '../errors.ts';
import type { ArgInstruction, Containerfile, MountSyntax, StageInstruction } from '../parser/index.ts';
import { lookupDescription } from './description.ts';
import { expandNoting, expandQuietly } from './lint/expansion.ts';
import { MountFields } from './mount-fields.ts';
import { neededStages } from './needed-stages.ts';
import type { LowerOptions } from './options.ts';
import { argValue, buildArg, imageScope, type Scope, withArg, withEnv } from './scope.ts';
import { StageTable } from './stages.ts';

/** What a target takes from the command line. */
export interface Outline {
  readonly source: SourceFile;
  readonly name?: string;
  readonly description?: string;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineMount[];
  readonly ssh: readonly OutlineMount[];
  readonly caches: readonly OutlineMount[];
}

export interface OutlineArg {
  readonly name: string;
  readonly description?: string | undefined;
  /** What it is without a `--build-arg` of its own. */
  readonly default?: string | undefined;
  /** What the build uses. */
  readonly value?: string | undefined;
  readonly range: SourceRange;
}

export interface OutlineMount {
  readonly id: string;
  readonly isRequired: boolean;
  readonly range: SourceRange;
}

/** The outline of `options.target`: of it and every stage that it needs. Throws `E_UNKNOWN_STAGE`, `E_EXPANSION`. */
export function outline(file: Containerfile, options: LowerOptions): Outline {
  const table = new StageTable(file, options);
  const { from } = table.syntax(table.target);
  const reader = new OutlineReader(file, options, table);
  // What the target says of a name counts, not what a stage below it says.
  for (const index of neededStages(table.target, table, new Map()).toReversed()) reader.read(index);
  const description = lookupDescription(from.comments, from.name);
  return {
    source: file.source,
    ...(from.name === undefined ? {} : { name: from.name }),
    ...(description === undefined ? {} : { description }),
    ...reader.found(),
  };
}

type Definition = ArgInstruction['args'][number] & { readonly comments: readonly string[] };

class OutlineReader {
  readonly #file: Containerfile;
  readonly #options: LowerOptions;
  readonly #table: StageTable;
  readonly #args = new Map<string, OutlineArg>();
  readonly #mounts = {
    secret: new Map<string, OutlineMount>(),
    ssh: new Map<string, OutlineMount>(),
    cache: new Map<string, OutlineMount>(),
  };
  readonly #global: ReadonlyMap<string, Definition>;

  constructor(file: Containerfile, options: LowerOptions, table: StageTable) {
    this.#file = file;
    this.#options = options;
    this.#table = table;
    const definitions = file.globalArgs.flatMap(({ args, comments }) => args.map((arg) => ({ ...arg, comments })));
    this.#global = new Map(definitions.map((definition) => [definition.name, definition]));
  }

  read(index: number): void {
    const { from } = this.#table.syntax(index);
    for (const word of [from.image, from.platform]) {
      if (!word) continue;
      for (const name of expandNoting(word, this.#table.global, this.#escape).matched) this.#useGlobal(name);
    }
    this.#scopeAfter(index, (instruction, scope) => this.#note(instruction, scope));
  }

  found(): Pick<Outline, 'args' | 'secrets' | 'ssh' | 'caches'> {
    const { secret, ssh, cache } = this.#mounts;
    return {
      args: inOrder(this.#args),
      secrets: inOrder(secret),
      ssh: inOrder(ssh),
      caches: inOrder(cache),
    };
  }

  get #escape(): '\\' | '`' {
    return this.#file.directives.escape;
  }

  /** The variables at the end of a stage, as far as the file sets them. `visit` sees those before each instruction. */
  #scopeAfter(index: number, visit: (instruction: StageInstruction, scope: Scope) => void = () => {}): Scope {
    const origin = this.#table.origin(index);
    let scope = origin.type === 'stage' ? this.#scopeAfter(origin.index) : imageScope([]);
    for (const instruction of this.#table.syntax(index).instructions) {
      visit(instruction, scope);
      scope = this.#scopeWith(instruction, scope);
    }
    return scope;
  }

  #scopeWith(instruction: StageInstruction, scope: Scope): Scope {
    if (instruction.kind === 'ENV') {
      const read = (word: Parameters<typeof expandQuietly>[0]): string => expandQuietly(word, scope, this.#escape);
      return withEnv(
        scope,
        instruction.pairs.map(({ key, value }) => [read(key), read(value)] as const),
      );
    }
    if (instruction.kind !== 'ARG') return scope;
    return instruction.args.reduce((before, arg) => withArg(before, arg.name, this.#value(arg, before, true)), scope);
  }

  #value({ name, default: word }: ArgInstruction['args'][number], scope: Scope, isGiven: boolean): string | undefined {
    const expandDefault = word && (() => expandQuietly(word, scope, this.#escape));
    const buildArgs = isGiven ? this.#options.buildArgs : {};
    return argValue(name, { buildArgs, global: this.#table.global, ...(expandDefault ? { expandDefault } : {}) });
  }

  #note(instruction: StageInstruction, scope: Scope): void {
    if (instruction.kind === 'RUN') for (const mount of instruction.mounts) this.#noteMount(mount, scope);
    if (instruction.kind !== 'ARG') return;
    let current = scope;
    for (const arg of instruction.args) {
      if (arg.default === undefined && this.#global.has(arg.name)) this.#useGlobal(arg.name);
      else this.#noteArg({ ...arg, comments: instruction.comments }, current);
      current = withArg(current, arg.name, this.#value(arg, current, true));
    }
  }

  #noteArg(definition: Definition, scope: Scope): void {
    const { name, comments, range } = definition;
    if (this.#args.has(name)) return;
    const given = buildArg(this.#options.buildArgs, name);
    const standard = this.#value(definition, scope, false);
    const value = given ?? standard;
    this.#args.set(name, { name, description: lookupDescription(comments, name), default: standard, value, range });
  }

  /** A global ARG that something uses, and those that its default uses. */
  #useGlobal(name: string): void {
    const definition = this.#global.get(name);
    if (!definition || this.#args.has(name)) return;
    this.#noteArg(definition, this.#table.global);
    const word = definition.default;
    if (word) for (const used of expandNoting(word, this.#table.global, this.#escape).matched) this.#useGlobal(used);
  }

  #noteMount(mount: MountSyntax, scope: Scope): void {
    const fields = new MountFields(mount, (word) => expandQuietly(word, scope, this.#escape));
    const type = fields.text('type');
    if (type !== 'secret' && type !== 'ssh' && type !== 'cache') return;
    const id = mountId(type, fields);
    const isRequired = fields.boolean('required') === true;
    if (!this.#mounts[type].has(id)) this.#mounts[type].set(id, { id, isRequired, range: mount.range });
  }
}

/** What names the thing that is mounted, as the build finds it. */
function mountId(type: 'secret' | 'ssh' | 'cache', fields: MountFields): string {
  const [id, target = ''] = [fields.text('id'), fields.text('target')];
  if (type === 'ssh') return id ?? 'default';
  return type === 'cache' ? (id ?? posix.normalize(target)) : (fields.text('source') ?? id ?? posix.basename(target));
}

function inOrder<T extends { readonly range: SourceRange }>(found: ReadonlyMap<string, T>): readonly T[] {
  const before = (a: T, b: T): number =>
    a.range.start.line - b.range.start.line || a.range.start.column - b.range.start.column;
  return [...found.values()].sort(before);
}
