/**
 * What ADD and build contexts fetch: files behind http(s) URLs and trees of git repositories. Each is a directory on
 * this machine, kept in the state directory (`<root>/remote`) and asked for anew at each build: a URL by its ETag or
 * Last-Modified, a repository by `git ls-remote`; what is named by its content (a checksum, a commit id) is not asked for.
 * Nothing here is older than its server says: what cannot be reached is an error. `tsbuild prune` removes what is kept.
 *
 * The servers are not trusted: what they send is data, never a program (no hooks, no filters, no local protocols), and
 * it is checked against the checksum before it gets its name. Reads no environment: what git may see is given in.
 */
export type { GitTree } from './git-tree.ts';
export type { HttpFile } from './http-file.ts';
export { createRemoteSources, type RemoteOptions, type RemoteSources } from './remote-sources.ts';
