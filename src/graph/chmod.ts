import { BuildError } from '../errors.ts';

/** Changes permission bits; `isDirectory` matters for `X`. */
export type ModeChange = (mode: number, isDirectory: boolean) => number;

const WHO_BITS: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007 };
const CLAUSE = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/;

function invalid(spec: string): BuildError {
  return new BuildError('E_PARSE', `Invalid --chmod value "${spec}"`, {
    hint: 'Write an octal mode up to 07777 (--chmod=0644) or a symbolic one (--chmod=u=rwX,go=rX)',
  });
}

/** `--chmod`: octal or symbolic, chmod(1) without the umask. Throws `E_PARSE`. */
export function parseChmod(spec: string): ModeChange {
  if (/^[0-7]+$/.test(spec)) {
    const mode = Number.parseInt(spec, 8);
    if (mode > 0o7777) throw invalid(spec);
    return () => mode;
  }
  const changes = spec.split(',').flatMap((clause) => parseClause(spec, clause));
  return (mode, isDirectory) => changes.reduce((m, change) => change(m, isDirectory), mode);
}

function parseClause(spec: string, clause: string): ModeChange[] {
  const match = CLAUSE.exec(clause);
  if (!match) throw invalid(spec);
  const [, whoText = '', actions = ''] = match;
  const who = whoText === '' || whoText.includes('a') ? 'ugo' : whoText;
  const mask = [...who].reduce((bits, w) => bits | (WHO_BITS[w] ?? 0), 0);
  return [...actions.matchAll(/([-+=])([rwxXstugo]*)/g)].map(
    ([, operator = '+', permissions = '']): ModeChange =>
      (mode, isDirectory) => {
        const bits = permissionBits(permissions, mode, isDirectory) & mask;
        if (operator === '+') return mode | bits;
        if (operator === '-') return mode & ~bits;
        // as GNU chmod: `=` leaves a directory's setuid and setgid bits alone unless it names them
        const kept = isDirectory ? 0o6000 & ~bits : 0;
        return (mode & ~(mask & ~kept)) | bits;
      },
  );
}

function permissionBits(permissions: string, mode: number, isDirectory: boolean): number {
  const copied = { u: mode >> 6, g: mode >> 3, o: mode }[permissions];
  if (copied !== undefined) return (copied & 7) * 0o111;
  const bits: Readonly<Record<string, number>> = {
    r: 0o444,
    w: 0o222,
    x: 0o111,
    X: isDirectory || (mode & 0o111) !== 0 ? 0o111 : 0,
    s: 0o6000,
    t: 0o1000,
  };
  return [...permissions].reduce((sum, p) => sum | (bits[p] ?? 0), 0);
}
