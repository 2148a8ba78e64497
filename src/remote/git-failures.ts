import { BuildError, type ErrorCode } from '../errors.ts';

interface Reason {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly hint: string;
  /** As `connectionFailure` names it: fewer tries for what is probably a misspelling. */
  readonly reason?: string;
}

/** What git and its helpers say in the C locale, most particular first. */
const REASONS: readonly Reason[] = [
  {
    pattern: /Host key verification failed/,
    code: 'E_UNAUTHORIZED',
    hint: 'Add the key of the host to ~/.ssh/known_hosts: ssh-keyscan HOST >> ~/.ssh/known_hosts, and compare it',
  },
  {
    pattern:
      /Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|Permission denied \(|error: 40[13]/,
    code: 'E_UNAUTHORIZED',
    hint: 'Give git the credentials: a credential helper (git config --global credential.helper) for https, or --secret id=GIT_AUTH_TOKEN,src=FILE; a key or an agent for ssh',
  },
  {
    pattern: /error: 30[12378]/,
    code: 'E_REMOTE',
    hint: 'The server leads to another URL, and credentials are not taken along: write the URL of the repository as it is now',
  },
  {
    pattern: /Could not resolve host|Name or service not known|Temporary failure in name resolution/,
    code: 'E_UNAVAILABLE',
    hint: 'Check the name of the host, the network and the proxy settings',
    reason: 'ENOTFOUND',
  },
  {
    pattern: /Connection refused|Failed to connect|Couldn't connect/,
    code: 'E_UNAVAILABLE',
    hint: 'Check the name and port of the host, the network and the proxy settings',
    reason: 'ECONNREFUSED',
  },
  {
    pattern:
      /timed out|[Cc]onnection (?:was )?reset|early EOF|unexpected disconnect|hung up unexpectedly|Empty reply|error: (?:429|50[0234])|transfer closed|RPC failed|Operation too slow/,
    code: 'E_UNAVAILABLE',
    hint: 'The server or the network is in trouble; try again later',
  },
  {
    pattern:
      /repository .* not found|does not appear to be a git repository|Repository not found|not exported|error: 404/,
    code: 'E_NOT_FOUND',
    hint: 'Check the URL; a private repository looks absent without credentials',
  },
  {
    pattern: /SSL|certificate/,
    code: 'E_TLS',
    hint: "Add the issuer's certificate to the trusted ones, or name its file in GIT_SSL_CAINFO",
  },
  {
    pattern: /transport '\w+' not allowed/,
    code: 'E_REMOTE',
    hint: 'Repositories and their submodules are fetched by https, http, ssh and git only, never from this machine',
  },
  {
    pattern: /No space left on device/,
    code: 'E_NO_SPACE',
    hint: 'Run "tsbuild prune --all", or choose another --root',
  },
];

/** git's last words, in one line, without what could drive a terminal or prove who we are. */
function lastWords(stderr: string): string {
  const lines = stderr
    .replace(/(\w+:\/\/)[^/@\s]*@/g, '$1xxxxx@')
    .split('\n')
    .map((line) =>
      line
        .replace(/^remote: /, '')
        .replace(/[^\x20-\x7e]+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '');
  const fatal = lines.filter((line) => /^(?:fatal|error): /.test(line)).map((line) => line.replace(/^\w+: /, ''));
  return (fatal[0] ?? lines.at(-1) ?? 'no reason given').slice(0, 300);
}

/** The error of a git program that ended with one. */
export function gitFailure(shown: string, stderr: string, command: string): BuildError {
  const found = REASONS.find(({ pattern }) => pattern.test(stderr));
  const { code, hint, reason } = found ?? {
    code: 'E_REMOTE' as const,
    hint: `Try the same by hand: git ls-remote "${shown}"`,
    reason: undefined,
  };
  return new BuildError(code, `Cannot fetch "${shown}": git says: ${lastWords(stderr)}`, {
    hint,
    fields: { command: `git ${command}`, ...(reason === undefined ? {} : { reason }) },
  });
}
