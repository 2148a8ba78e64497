import { TarDecoder, type TarEntry } from '../../../src/layers/tar/index.ts';

export interface Member {
  readonly entry: TarEntry;
  readonly body: Buffer;
}

/** Pushes `tar` in pieces of `step` bytes. */
export function decodeAll(tar: Uint8Array, step = tar.byteLength || 1): readonly Member[] {
  const members: { entry: TarEntry; chunks: Uint8Array[] }[] = [];
  let isEnded = false;
  const decoder = new TarDecoder({
    entry: (entry) => void members.push({ entry, chunks: [] }),
    data: (chunk) => void members.at(-1)?.chunks.push(Buffer.from(chunk)),
    end: () => {
      isEnded = true;
    },
  });
  for (let at = 0; at < tar.byteLength; at += step) decoder.push(tar.subarray(at, at + step));
  decoder.finish();
  if (!isEnded) throw new Error('end() was not called');
  return members.map(({ entry, chunks }) => ({ entry, body: Buffer.concat(chunks) }));
}

export async function* chunked(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export const owned = { mode: 0o644, uid: 0, gid: 0, mtime: 0 } as const;
