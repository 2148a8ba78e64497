import type { MountSyntax } from '../parser/index.ts';
import { type MountFields, mountFrom } from './mount-fields.ts';
import type { CopyOp, Node, Op } from './op.ts';
import type { StageState } from './stage-state.ts';
import type { StepContext } from './step-context.ts';

/** The inputs of a RUN: its parent, then every root that its mounts read, once. */
export class Roots {
  readonly #nodes: Node[];
  readonly #state: StageState;
  readonly #context: StepContext;

  constructor(state: StageState, context: StepContext) {
    this.#nodes = [state.node];
    this.#state = state;
    this.#context = context;
  }

  get inputs(): readonly Node[] {
    return this.#nodes;
  }

  /** The number of the node among the inputs. */
  add(node: Node): number {
    const known = this.#nodes.indexOf(node, 1);
    return known > 0 ? known : this.#nodes.push(node) - 1;
  }

  empty(): number {
    return this.add(this.scratch());
  }

  scratch(): Node {
    const { stage, nodes } = this.#context;
    const { node, platform } = this.#state;
    const slot = `${stage}/source/scratch`;
    return nodes.add({
      op: { kind: 'scratch' },
      inputs: [],
      range: node.range,
      label: 'scratch',
      stage,
      slot,
      platform,
    });
  }
}

/** One mount on its way: what it says, and where. */
export interface Mounting {
  readonly syntax: MountSyntax;
  readonly fields: MountFields;
  readonly state: StageState;
  readonly context: StepContext;
  readonly roots: Roots;
  /** How many ssh mounts stand before it. */
  readonly agents: number;
}

const isFiles = ({ kind }: Op): boolean => kind === 'context' || kind === 'http' || kind === 'git';

/**
 * The input that a mount reads. Files of a context are brought into a layer of their own first, at their path: that honours
 * the ignore file and gives them owners and a content that the key of the RUN covers.
 */
export function bindSource(mounting: Mounting, source: string): number {
  const { syntax, fields, context, roots } = mounting;
  const range = fields.rangeOf('source');
  const root = context.copyInput(mountFrom(syntax), range);
  if (!isFiles(root.op)) return roots.add(root);
  const op: CopyOp = {
    kind: 'copy',
    sources: [{ type: 'path', path: literal(source.slice(1)) || '.', range, input: 1, unpack: false }],
    destination: source,
    link: false,
    parents: false,
    exclude: [],
    pending: [],
  };
  const path = source === '/' ? '.' : source.slice(1);
  return roots.add(
    context.nodes.add({
      op,
      inputs: [roots.scratch(), root],
      range,
      label: `RUN --mount source ${path}`,
      stage: context.stage,
      slot: `${context.place}/RUN/mount ${path}`,
      platform: root.platform,
    }),
  );
}

/** The source of a mount is a path, where that of a COPY is a pattern. */
const literal = (path: string): string => path.replace(/[\\*?[]/g, '\\$&');
