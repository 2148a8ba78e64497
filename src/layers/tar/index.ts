/**
 * The tar codec: the only place that knows the format. Writes ustar, with PAX only where ustar cannot say it, the same
 * bytes for the same entries; reads v7, ustar, PAX and GNU. No I/O: bytes come and go as chunks, memory is bounded by one
 * header (1 MiB), hostile input ends in `E_BAD_LAYER`. Knows nothing of whiteouts or of directories on disk.
 *
 * Names are text: a name that is not UTF-8 is refused on reading, a string that is not well-formed on writing; no byte is
 * ever replaced. Paths come out lexically clean and relative; one that climbs above the root keeps its leading `..`, and
 * whoever applies the entry refuses it.
 */
export { type DecodedMember, decodeTar } from './decode-stream.ts';
export { TarDecoder, type TarHandler } from './decoder.ts';
export { encodeHeader, encodeTarStream, paddingAfter, TAR_END, type TarMember } from './encode.ts';
export type { TarEntry } from './entry.ts';
export { BLOCK as TAR_BLOCK, isTarHeader } from './fields.ts';
export { buildTarIndex, type TarIndexEntry } from './tar-index.ts';
