import type { StepResult } from './executor/index.ts';
import type { Node, NodeId } from './graph/index.ts';
import type { Image, Layer } from './oci/index.ts';

export interface KnownRoots {
  /** Of the steps that the cache has. */
  readonly results: ReadonlyMap<NodeId, StepResult>;
  /** By the digest of the manifest. */
  readonly images: ReadonlyMap<string, Image>;
}

/**
 * The layers that steps need to run: of what they work on (a linked COPY works on nothing) and of what they read. Layers of
 * an image that nothing looks into are not among them.
 */
export function layersToRead(steps: readonly Node[], roots: KnownRoots): readonly Layer[] {
  const layers = new Map<string, Layer>();
  for (const { op, inputs } of steps) {
    const isLinked = op.kind === 'copy' && op.link;
    for (const input of isLinked ? inputs.slice(1) : inputs) {
      for (const layer of chainOf(input, roots)) layers.set(layer.diffId, layer);
    }
  }
  return [...layers.values()];
}

/** As far as it is there already. */
function chainOf(node: Node, roots: KnownRoots): readonly Layer[] {
  const known = roots.results.get(node.id);
  if (known) return known.chain;
  if (node.op.kind === 'image') return roots.images.get(node.op.digest)?.layers ?? [];
  const [parent] = node.inputs;
  return parent ? chainOf(parent, roots) : [];
}
