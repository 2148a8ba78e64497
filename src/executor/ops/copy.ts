import type { EventSink } from '../../events.ts';
import type { CopyOp, Node } from '../../graph/index.ts';
import type { CommittedLayer, LayerLibrary } from '../../layers/index.ts';
import { type CacheKey, type DiffId, digestOf, type Layer, type MtimeRule } from '../../oci/index.ts';
import { ChunkPool } from '../chunk-pool.ts';
import { copyLayer } from '../copy-layer.ts';
import { CopyReuse } from '../copy-reuse.ts';
import type { Selection } from '../copy-selection.ts';
import type { FileHasher } from '../file-hasher.ts';
import { TarPatch } from '../tar-patch.ts';
import { recordedLayer } from '../tar-record.ts';
import { TarRecording } from '../tar-recording.ts';
import { untilAborted } from '../until-aborted.ts';

interface CopyStep {
  readonly node: Pick<Node, 'slot' | 'range'>;
  readonly op: CopyOp;
  readonly parent: readonly Layer[];
  readonly selection?: Selection | undefined;
  /** Of all that decides about the layer beside the selection. */
  readonly basis: CacheKey;
  readonly library: Pick<LayerLibrary, 'view' | 'commitTar' | 'commitPatch' | 'tarFile'>;
  readonly hasher: FileHasher;
  readonly mtimeRule: MtimeRule | undefined;
  /** Seconds. */
  readonly inlineMtime: number;
  /** `--no-cache`: everything is read. */
  readonly isFresh: boolean;
  /** The layer that will most likely come of it. */
  readonly likely: DiffId | undefined;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
}

/** The layer of a COPY or ADD: patched where only a few files of its last run were edited, else made of all of its files. */
export async function copyStep(step: CopyStep): Promise<CommittedLayer> {
  using patch = await patchOf(step);
  return patch ? await patch.commit(step.signal) : await copyAll(step);
}

async function copyAll(step: CopyStep): Promise<CommittedLayer> {
  const { node, op, parent, selection, library, hasher, mtimeRule, inlineMtime, isFresh, likely, emit, signal } = step;
  const view = await library.view(op.link ? [] : parent);
  const sources = selection?.sources ?? [];
  const recording = recordingOf(step);
  const warn = (message: string, hint: string): void => {
    recording?.spoil(); // a patched copy would not say it
    emit({ type: 'warning', message, hint, range: node.range });
  };
  using reuse = await CopyReuse.open({ hasher, library, slot: node.slot, isFresh, likely });
  const chunks = new ChunkPool();
  const tar = await copyLayer({ op, sources, view, mtimeRule, inlineMtime, warn, reuse, chunks, recording });
  const onFree = (chunk: Uint8Array): void => chunks.give(chunk);
  const watched = untilAborted(recording ? recording.watch(tar) : tar, signal);
  const layer = await library.commitTar(watched, { likely, onFree });
  reuse.keep(layer.diffId);
  recording?.keep(layer.diffId);
  return layer;
}

/** What a record speaks of; undefined: none can. */
function knownOf({ node, op, selection, basis, hasher }: CopyStep) {
  const seen = selection?.seen;
  if (!seen || op.parents) return undefined;
  const file = hasher.beside(digestOf(`tar ${node.slot}`).slice(7, 39));
  return { seen, file, basis: digestOf(`${basis} ${seen.identity}`) };
}

async function patchOf(step: CopyStep): Promise<TarPatch | undefined> {
  const known = step.isFresh ? undefined : knownOf(step);
  const { op, library, mtimeRule } = step;
  return known && TarPatch.open({ ...known, library, chmod: op.chmod, mtimeRule });
}

function recordingOf(step: CopyStep): TarRecording | undefined {
  const known = knownOf(step);
  if (!known) return undefined;
  const { isFresh, likely, selection } = step;
  const isKept = isFresh && likely !== undefined && recordedLayer(known.file, known.basis) === likely;
  return isKept ? undefined : TarRecording.of(selection?.sources ?? [], known);
}
