/** What BuildKit takes as remote: `http(s)://`, and for git also `git://`, `ssh://` and `git@host:path`. */
const GIT = /^(?:git:\/\/|ssh:\/\/|git@[^/:\s]+:|https?:\/\/[^?#]*\.git(?:[?#].*)?$)/i;

/** `a URL` or `a git repository` when a COPY or ADD source is one; undefined for a path. Expanded text, too. */
export function remoteSource(source: string): 'a URL' | 'a git repository' | undefined {
  if (GIT.test(source)) return 'a git repository';
  return /^https?:\/\//i.test(source) ? 'a URL' : undefined;
}
