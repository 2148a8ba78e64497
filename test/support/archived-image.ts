import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Workspace } from './workspace.ts';

interface ArchivedImage {
  /** The names in each layer, base first, sorted. */
  readonly layers: readonly (readonly string[])[];
  readonly history: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
}

/** The image that the workspace builds, as an archive holds it. */
export async function archivedImage(space: Workspace): Promise<ArchivedImage> {
  const archive = join(space.store, 'layers.oci.tar');
  await space.build(['-o', `type=oci,dest=${archive}`]);
  const member = (path: string): Buffer => execFileSync('tar', ['-xOf', archive, path], { maxBuffer: 1 << 28 });
  const blob = (digest: string): Buffer => member(`blobs/${digest.replace(':', '/')}`);
  const parse = <T>(bytes: Buffer): T => JSON.parse(bytes.toString()) as T; // as the OCI image format says
  const { manifests } = parse<{ manifests: readonly { digest: string }[] }>(member('index.json'));
  const manifest = parse<{ layers: readonly { digest: string }[]; config: { digest: string } }>(
    blob(manifests[0]?.digest ?? ''),
  );
  const { history } = parse<Pick<ArchivedImage, 'history'>>(blob(manifest.config.digest));
  const layers = manifest.layers.map(({ digest }) => {
    const names = execFileSync('tar', ['-tzf', '-'], { input: blob(digest), encoding: 'utf8' });
    return names.split('\n').filter(Boolean).sort();
  });
  return { layers, history };
}
