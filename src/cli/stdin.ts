import type { InputStream } from './host.ts';

/** All of stdin: for Containerfiles and passwords only, never for archives. */
export async function readAll(stdin: InputStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}
