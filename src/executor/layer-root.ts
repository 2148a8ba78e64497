import type { Node } from '../graph/index.ts';
import { closeSource } from './source-cursor.ts';
import type { SourceRoot } from './source-root.ts';

/** The root of a stage or image, mounted at `directory`, until disposal; `node`: what made it. */
export function openLayerRoot(
  directory: string,
  node: Node | undefined,
): Disposable & { readonly sources: SourceRoot } {
  const description = node?.op.kind === 'image' ? `image "${node.op.reference}"` : `stage "${node?.stage ?? ''}"`;
  const sources: SourceRoot = { directory, description, keepsOwners: true };
  return { sources, [Symbol.dispose]: () => closeSource(sources) };
}
