import type { Node } from '../graph/index.ts';
import type { Owners } from '../layers/index.ts';
import { closeSource } from './source-cursor.ts';
import type { SourceRoot } from './source-root.ts';

/** The root of a stage or image, as it is mounted, until disposal; `node`: what made it. */
export function openLayerRoot(
  { path, owners }: { readonly path: string; readonly owners?: Owners | undefined },
  node: Node | undefined,
): Disposable & { readonly sources: SourceRoot } {
  const description = node?.op.kind === 'image' ? `image "${node.op.reference}"` : `stage "${node?.stage ?? ''}"`;
  const sources: SourceRoot = { directory: path, description, keepsOwners: true, owners };
  return { sources, [Symbol.dispose]: () => closeSource(sources) };
}
