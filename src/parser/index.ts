/**
 * The parser room: Containerfile text to syntax tree, with an exact place in the source on every node, and the pure
 * functions that go with it: variable expansion, ignore files, path patterns, port lists, code frames and spelling
 * suggestions. No I/O, no environment: text in, data out. Grammar and meaning are BuildKit's.
 *
 * It does not expand what it parses (that needs the scope of a stage: graph), and it resolves neither images nor paths.
 */

export { securityRefusal } from './commands.ts';
export { splitCsv } from './csv.ts';
export { decodeContainerfile } from './decode.ts';
export { dumpContainerfile } from './dump.ts';
export { parseDuration } from './duration.ts';
export { type ExpandOptions, expand, expandHeredoc, expandWords } from './expand.ts';
export { isOwnFrontEnd } from './front-end.ts';
export {
  type IgnoreFile,
  type IgnoreMatch,
  type IgnorePattern,
  parseIgnoreFile,
  parseIgnorePatterns,
} from './ignore-file.ts';
export * from './instructions.ts';
export { parseMountOption } from './mount-option.ts';
export { parseContainerfile, parseContainerfiles, parseTrigger, readInstructions } from './parser.ts';
export { filepathMatch, hasWildcard, type PathComponent, splitPathPattern } from './path-match.ts';
export { parsePorts } from './ports.ts';
export { remoteSource } from './remote-source.ts';
export { codeFrame } from './source.ts';
export { suggest } from './suggest.ts';
