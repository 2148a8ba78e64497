import { canonicalJson, digestOf, type Json } from '../oci/index.ts';
import type { CopyOpSource, Node, NodeId, Op } from './op.ts';

/** An op without source positions: what identity and keys are made of. */
export function definitionOf(op: Op): Json {
  if (op.kind === 'run') {
    const mounts = op.mounts.map(({ range: _notPartOfIt, ...mount }) => mount);
    return { ...op, mounts } as unknown as Json; // ops are plain data
  }
  if (op.kind !== 'copy') return op as unknown as Json; // as above
  return { ...op, sources: op.sources.map(sourceDefinition) } as unknown as Json; // as above
}

const sourceDefinition = (source: CopyOpSource): Json =>
  source.type === 'path'
    ? { path: source.path, input: source.input, unpack: source.unpack }
    : { name: source.file.name, content: source.file.content };

/** All nodes of one build. Equal work is one node, so that it runs once. */
export class NodeTable {
  readonly #nodes = new Map<NodeId, Node>();
  readonly #freshStages: ReadonlySet<string>;

  /** `freshStages`: as `Node.stage` has them. */
  constructor(freshStages: ReadonlySet<string> = new Set()) {
    this.#freshStages = freshStages;
  }

  /** The node for this op over these inputs; the first caller's range, label and slot stay. */
  add(node: Omit<Node, 'id' | 'isFresh'>): Node {
    const inputs = node.inputs.map((input) => input.id);
    // a step of a stage that is built anew is not the step of another stage, which may be cached
    const fresh = isStep(node) && this.#freshStages.has(node.stage) ? { isFresh: true } : {};
    const definition = { op: definitionOf(node.op), inputs, platform: { ...node.platform }, ...fresh };
    const id = digestOf(canonicalJson(definition)) as string as NodeId; // the brand's only source
    const known = this.#nodes.get(id);
    if (known) return known;
    const added: Node = { ...node, id, ...fresh };
    this.#nodes.set(id, added);
    return added;
  }
}

/** Makes or may make a layer: everything but sources. */
export const isStep = ({ op }: Pick<Node, 'op'>): boolean =>
  op.kind === 'run' || op.kind === 'copy' || op.kind === 'mkdir';

/** Every node once, inputs before users. */
export function nodesInOrder(target: Node): readonly Node[] {
  const order = new Set<Node>();
  const stack: { readonly node: Node; readonly isOpened: boolean }[] = [{ node: target, isOpened: false }];
  for (let top = stack.pop(); top; top = stack.pop()) {
    if (order.has(top.node)) continue;
    if (top.isOpened) {
      order.add(top.node);
      continue;
    }
    stack.push({ node: top.node, isOpened: true });
    for (const input of top.node.inputs.toReversed()) stack.push({ node: input, isOpened: false });
  }
  return [...order];
}

interface Rooted {
  readonly target: Node;
}

/**
 * The steps of graphs (RUN, COPY, ADD, a trailing WORKDIR) in an order in which they can run one by one; those that several
 * graphs have once.
 */
export const stepsOf = (...graphs: readonly Rooted[]): readonly Node[] => allNodes(graphs).filter(isStep);

/** What the steps start from: images, contexts, URLs, repositories. */
export const sourcesOf = (...graphs: readonly Rooted[]): readonly Node[] =>
  allNodes(graphs).filter((node) => !isStep(node));

function allNodes(graphs: readonly Rooted[]): readonly Node[] {
  const nodes = new Map<NodeId, Node>();
  for (const node of graphs.flatMap(({ target }) => nodesInOrder(target))) {
    if (!nodes.has(node.id)) nodes.set(node.id, node);
  }
  return [...nodes.values()];
}
