import { posix } from 'node:path';
import { formatPlatform } from '../../oci/index.ts';
import type { Containerfile, StageInstruction } from '../../parser/index.ts';
import { instructionsOf, namedSources } from '../needed-stages.ts';
import type { BaseImages, LowerOptions } from '../options.ts';
import { argValue, imageScope, type Scope, withArg, withEnv } from '../scope.ts';
import { checkSignal } from '../signals.ts';
import type { ImageOrigin, Origin, StageTable } from '../stages.ts';
import { type ContextIgnore, checkCopySources } from './copy-rules.ts';
import { checkPort } from './expose-rules.ts';
import type { Findings } from './findings.ts';
import { keywordOf } from './instruction-rules.ts';
import { checkLegacyFormat, checkSecretName } from './pair-rules.ts';
import { VariableRules } from './variable-rules.ts';

export interface StageRuleSettings {
  readonly file: Containerfile;
  readonly table: StageTable;
  readonly options: LowerOptions;
  readonly images: BaseImages;
  readonly ignore: ContextIgnore | undefined;
  readonly findings: Findings;
}

/** What the rules must know of a stage; a stage that starts from it takes it over. */
interface Facts {
  readonly scope: Scope;
  /** The base image's config is not known: it may set any variable. */
  readonly isOpen: boolean;
  readonly hasShell: boolean;
  readonly hasWorkdir: boolean;
}

type Of<K extends StageInstruction['kind']> = Extract<StageInstruction, { kind: K }>;

/** The rules that need the scope of a stage. Each stage is gone through once, after what it starts from. */
export class StageRules {
  readonly #settings: StageRuleSettings;
  readonly #facts = new Map<number, Facts>();

  constructor(settings: StageRuleSettings) {
    this.#settings = settings;
  }

  /** Throws `BuildError` for what would stop the build here. */
  check(index: number): void {
    this.#factsOf(index);
  }

  #factsOf(index: number): Facts {
    const known = this.#facts.get(index);
    if (known) return known;
    const facts = this.#checkStage(index);
    this.#facts.set(index, facts);
    return facts;
  }

  #checkStage(index: number): Facts {
    const { table, images } = this.#settings;
    const instructions = instructionsOf(index, table, images);
    // A source that is not there is an error, which this throws.
    for (const from of instructions.flatMap(namedSources)) table.copyOrigin(from, index);
    this.#checkUsedOnce(instructions);
    let facts = this.#firstFacts(index, table.origin(index));
    for (const [position, instruction] of instructions.entries()) {
      facts = this.#checkInstruction(instruction, facts, instructions.slice(position + 1));
    }
    return facts;
  }

  #firstFacts(index: number, origin: Origin): Facts {
    if (origin.type === 'stage') return this.#factsOf(origin.index);
    const image = origin.type === 'image' ? this.#settings.images.get(origin.key) : undefined;
    if (origin.type === 'image' && image) this.#checkBasePlatform(index, origin, image.config);
    const { Env = [], Shell = [] } = image?.config.config ?? {};
    const isOpen = origin.type === 'image' && !image;
    return { scope: imageScope(Env), isOpen, hasShell: Shell.length > 0, hasWorkdir: false };
  }

  #checkBasePlatform(
    index: number,
    { name, platform }: ImageOrigin,
    actual: { readonly os: string; readonly architecture: string },
  ): void {
    if (actual.os === platform.os && actual.architecture === platform.architecture) return;
    const texts = [formatPlatform(actual), formatPlatform(platform)];
    const detail = `Base image ${name} was pulled with platform "${texts[0]}", expected "${texts[1]}" for current build`;
    this.#settings.findings.report('InvalidBaseImagePlatform', detail, this.#settings.table.syntax(index).from);
  }

  /** The place is the earlier one's: it is the one that has no effect (BuildKit). */
  #checkUsedOnce(instructions: readonly StageInstruction[]): void {
    const last = new Map<string, StageInstruction>();
    for (const instruction of instructions) {
      if (!['CMD', 'ENTRYPOINT', 'HEALTHCHECK'].includes(instruction.kind)) continue;
      const earlier = last.get(instruction.kind);
      const name = keywordOf(instruction);
      const detail = `Multiple ${name} instructions should not be used in the same stage because only the last one will be used`;
      if (earlier) this.#settings.findings.report('MultipleInstructionsDisallowed', detail, earlier);
      last.set(instruction.kind, instruction);
    }
  }

  #checkInstruction(instruction: StageInstruction, facts: Facts, rest: readonly StageInstruction[]): Facts {
    const { file, findings } = this.#settings;
    const { escape: escapeCharacter } = file.directives;
    const words = new VariableRules({ ...facts, instruction, rest, escape: escapeCharacter, findings });
    switch (instruction.kind) {
      case 'ENV':
        return this.#checkEnv(instruction, facts, words);
      case 'ARG':
        return { ...facts, scope: this.#checkArg(instruction, facts, words) };
      case 'LABEL':
        checkLegacyFormat(instruction, findings);
        for (const { key, value } of instruction.pairs) words.expandAll([key, value]);
        return facts;
      case 'COPY':
      case 'ADD':
        checkCopySources(instruction, {
          sources: words.copySources(instruction),
          ignore: this.#settings.ignore,
          findings,
        });
        return facts;
      case 'WORKDIR':
        return this.#checkWorkdir(instruction, facts, words);
      case 'CMD':
      case 'ENTRYPOINT':
        this.#checkForm(instruction, facts);
        return facts;
      case 'SHELL':
        return { ...facts, hasShell: true };
      case 'EXPOSE':
        for (const port of instruction.ports.flatMap((word) => words.split(word)))
          checkPort(port, instruction, findings);
        return facts;
      case 'STOPSIGNAL':
        checkSignal(words.expand(instruction.signal), instruction.signal.range);
        return facts;
      case 'RUN':
        words.expandAll(instruction.mounts.flatMap(({ fields }) => fields.flatMap(({ value }) => value ?? [])));
        return facts;
      case 'USER':
        words.expand(instruction.user);
        return facts;
      case 'VOLUME':
        words.expandAll(instruction.paths);
        return facts;
      case 'HEALTHCHECK':
      case 'ONBUILD':
      case 'MAINTAINER':
        return facts;
      default:
        return instruction satisfies never;
    }
  }

  #checkEnv(instruction: Of<'ENV'>, facts: Facts, words: VariableRules): Facts {
    const { findings } = this.#settings;
    checkLegacyFormat(instruction, findings);
    const pairs = instruction.pairs.map(({ key, value }) => [words.expand(key), words.expand(value)] as const);
    for (const [name] of pairs) checkSecretName(name, instruction, findings);
    return { ...facts, scope: withEnv(facts.scope, pairs) };
  }

  /** Arguments of one line see those before them. */
  #checkArg(instruction: Of<'ARG'>, { scope }: Facts, words: VariableRules): Scope {
    const { options, table, findings } = this.#settings;
    let current = scope;
    for (const { name, default: word } of instruction.args) {
      checkSecretName(name, instruction, findings);
      const before = words.within(current);
      const expandDefault = word && (() => before.expand(word));
      const sources = {
        buildArgs: options.buildArgs,
        global: table.global,
        ...(expandDefault ? { expandDefault } : {}),
      };
      current = withArg(current, name, argValue(name, sources));
    }
    return current;
  }

  /** Only the first WORKDIR of a chain of stages: the others follow from it. */
  #checkWorkdir(instruction: Of<'WORKDIR'>, facts: Facts, words: VariableRules): Facts {
    const path = words.expand(instruction.path);
    if (!facts.hasWorkdir && !posix.isAbsolute(path)) {
      const detail = `Relative workdir "${path}" can have unexpected results if the base image changes`;
      this.#settings.findings.report('WorkdirRelativePath', detail, instruction);
    }
    return { ...facts, hasWorkdir: true };
  }

  #checkForm(instruction: Of<'CMD' | 'ENTRYPOINT'>, { hasShell }: Facts): void {
    const { command } = instruction;
    if (hasShell || command.form === 'exec' || command.script === '') return;
    const detail = `JSON arguments recommended for ${keywordOf(instruction)} to prevent unintended behavior related to OS signals`;
    this.#settings.findings.report('JSONArgsRecommended', detail, instruction);
  }
}
