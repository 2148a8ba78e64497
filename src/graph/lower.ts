import { BuildError, type SourceRange } from '../errors.ts';
import { formatPlatform, type Platform } from '../oci/index.ts';
import type { Containerfile, StageInstruction, Word } from '../parser/index.ts';
import { withAllFiles } from './copy.ts';
import { withMounts } from './global-mounts.ts';
import type { BuildGraph } from './graph.ts';
import { editedAnnotations, editedPlatform, withFirstEdits, withLastEdits } from './image-edits.ts';
import { lowerInstruction } from './lower-instruction.ts';
import { NodeTable } from './nodes.ts';
import { triggersOf } from './onbuild.ts';
import type { Node } from './op.ts';
import { type BaseImage, type BaseImages, type LowerOptions, NO_EDITS } from './options.ts';
import { formatEnv } from './scope.ts';
import { imageState, inheritedState, type StageState, scratchState, withHistory } from './stage-state.ts';
import { type ImageOrigin, type Origin, StageTable } from './stages.ts';
import type { StepContext } from './step-context.ts';
import { unusedBuildArgs } from './warnings.ts';

/** Positions count these only: an ENV put in between does not rename the steps after it. */
const makesLayer = ({ kind }: StageInstruction): boolean => kind === 'RUN' || kind === 'COPY' || kind === 'ADD';

interface SourcePlace {
  readonly platform: Platform;
  readonly range: SourceRange;
  readonly index: number;
  /** What the user calls it; absent: an image's reference, else the op's kind. */
  readonly label?: string;
}

/** One lowering: stages are lowered when something needs them, once. */
class Lowering {
  readonly table: StageTable;
  readonly triggers: StageInstruction[] = [];
  readonly #file: Containerfile;
  readonly #options: LowerOptions;
  readonly #images: BaseImages;
  readonly #nodes: NodeTable;
  readonly #stages = new Map<number, StageState>();

  constructor(file: Containerfile, options: LowerOptions, images: BaseImages) {
    this.#file = file;
    this.#options = options;
    this.#images = images;
    this.table = new StageTable(file, options);
    this.#nodes = new NodeTable(this.table.namedByUser(options.freshStages ?? [], '--no-cache-filter'));
  }

  /** A stage with all of its files: what its last WORKDIR promised included. */
  finished(index: number): StageState {
    const state = this.#stage(index);
    if (state.pending.length === 0) return state;
    const text = `WORKDIR ${state.pending.at(-1)?.path}`;
    const at = state.history.findLastIndex(({ entry }) => entry.created_by === text);
    const { from } = this.table.syntax(index);
    const workdir = this.table.syntax(index).instructions.findLast(({ kind }) => kind === 'WORKDIR') ?? from;
    const stage = this.table.name(index);
    const node = this.#nodes.add({
      op: { kind: 'mkdir', pending: state.pending },
      inputs: [state.node],
      range: workdir.range,
      label: workdir.raw,
      stage,
      slot: `${this.#place(index)}/end/WORKDIR`,
      platform: state.platform,
    });
    const history = state.history.map((planned, position) => {
      if (position !== at) return planned;
      const { empty_layer: _decidedByTheStep, ...entry } = planned.entry;
      return { entry, node: node.id };
    });
    return { ...state, node, history, pending: [] };
  }

  #stage(index: number): StageState {
    const known = this.#stages.get(index);
    if (known) return known;
    const state = this.#lowerStage(index);
    this.#stages.set(index, state);
    return state;
  }

  #lowerStage(index: number): StageState {
    const origin = this.table.origin(index);
    const { from, instructions } = this.table.syntax(index);
    const triggers = triggersOf(index, this.table, this.#images);
    this.triggers.push(...triggers);
    const edits = this.#options.edits ?? NO_EDITS;
    const first = withFirstEdits(this.#firstState(index, origin, from.range), edits, origin.type !== 'stage');
    const all = withMounts([...triggers, ...instructions], this.#options.mounts);
    let state = first;
    let position = 0;
    for (const instruction of all) {
      state = lowerInstruction(instruction, state, this.#context(index, position));
      if (makesLayer(instruction)) position++;
    }
    return state;
  }

  #firstState(index: number, origin: Origin, range: SourceRange): StageState {
    switch (origin.type) {
      case 'stage':
        return inheritedState(this.#stage(origin.index));
      case 'scratch': {
        const platform = this.table.platform(index);
        return scratchState(this.#source({ kind: 'scratch' }, { platform, range, index }), platform);
      }
      case 'files': {
        const place = { platform: this.table.platform(index), range, index, label: origin.name };
        const empty = scratchState(this.#source({ kind: 'scratch' }, { ...place, label: 'scratch' }), place.platform);
        return withAllFiles(empty, this.#source(origin.op, place), this.#context(index, 0));
      }
      case 'image':
        return imageState(this.#imageNode(origin, index), origin.platform, this.#image(origin));
      default:
        throw origin satisfies never;
    }
  }

  #image(origin: ImageOrigin): BaseImage {
    const image = this.#images.get(origin.key);
    if (!image)
      throw new BuildError('E_INTERNAL', `The image "${origin.name}" was not resolved`, { range: origin.range });
    return image;
  }

  #imageNode(origin: ImageOrigin, index: number): Node {
    const { platform, range } = origin;
    const { reference, digest } = this.#image(origin);
    return this.#source({ kind: 'image', reference, digest, platform }, { platform, range, index });
  }

  #source(op: Node['op'], { platform, range, index, label: given }: SourcePlace): Node {
    const stage = this.table.name(index);
    const label = given ?? (op.kind === 'image' ? op.reference : op.kind);
    return this.#nodes.add({
      op,
      inputs: [],
      range,
      label,
      stage,
      slot: `${this.#place(index)}/source/${label}`,
      platform,
    });
  }

  #copyInput(from: Word | undefined, range: SourceRange, index: number): Node {
    const platform = this.table.platform(index);
    // files are the same for every platform
    const everywhere = { platform: this.#options.buildPlatform, range, index };
    if (!from) return this.#source({ kind: 'context', name: 'context' }, everywhere);
    const origin = this.table.copyOrigin(from, index);
    switch (origin.type) {
      case 'stage':
        return this.finished(origin.index).node;
      case 'scratch':
        return this.#source({ kind: 'scratch' }, { platform, range, index });
      case 'files':
        return this.#source(origin.op, { ...everywhere, label: origin.name });
      case 'image':
        return this.#imageNode(origin, index);
      default:
        throw origin satisfies never;
    }
  }

  /** Begins slots: a step for another platform is compared with the one before it for that platform. */
  #place(index: number): string {
    const { platform, buildPlatform } = this.#options;
    const [target, own] = [formatPlatform(platform), formatPlatform(buildPlatform)];
    return target === own ? this.table.name(index) : `${this.table.name(index)} for ${target}`;
  }

  #context(index: number, position: number): StepContext {
    const stage = this.table.name(index);
    return {
      options: this.#options,
      global: this.table.global,
      escape: this.#file.directives.escape,
      nodes: this.#nodes,
      stage,
      place: `${this.#place(index)}/${position}`,
      copyInput: (from, range) => this.#copyInput(from, range, index),
    };
  }
}

/** As in buildah: an image of nothing at all still says where it comes from. */
function withSomeHistory(state: StageState, from: string): StageState {
  return state.history.length + state.baseHistory.length > 0 ? state : withHistory(state, `FROM ${from}`);
}

const fromText = (table: StageTable, { from }: LowerOptions): string =>
  (table.target === 0 ? from : undefined) ?? table.syntax(table.target).from.image.text;

/**
 * The graph of the target stage. `images` must hold what `requiredImages` asks for. Stages that the target does not need
 * are absent. Throws `E_UNKNOWN_STAGE`, `E_EXPANSION`, `E_PARSE` (bad port, bad signal), `E_UNSUPPORTED`.
 */
export function lower(file: Containerfile, options: LowerOptions, images: BaseImages): BuildGraph {
  const lowering = new Lowering(file, options, images);
  const { table } = lowering;
  const edits = options.edits ?? NO_EDITS;
  const edited = withLastEdits(lowering.finished(table.target), options.labels, edits);
  const state = withSomeHistory(edited, fromText(table, options));
  const annotations = editedAnnotations(state.baseImage?.annotations ?? {}, edits);
  const epoch = table.global.args.get('SOURCE_DATE_EPOCH');
  return {
    target: state.node,
    platform: editedPlatform(state.platform, state.baseImage?.config, edits),
    config: { ...state.config, Env: formatEnv(state.scope) },
    ...(state.author === undefined ? {} : { author: state.author }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    baseHistory: state.baseHistory,
    history: state.history,
    ...(state.baseCreated === undefined ? {} : { baseCreated: state.baseCreated }),
    ...(epoch === undefined || epoch === '' ? {} : { sourceDateEpoch: epoch }),
    warnings: [...unusedBuildArgs(file, lowering.triggers, options.buildArgs), ...table.contexts.unused(file)],
  };
}
