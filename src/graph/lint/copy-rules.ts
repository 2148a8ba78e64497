import { posix } from 'node:path';
import { type AddInstruction, type CopyInstruction, type IgnoreFile, remoteSource } from '../../parser/index.ts';
import type { Findings } from './findings.ts';

export type ContextIgnore = IgnoreFile & {
  /** As the user knows it, e.g. `.dockerignore`. */
  readonly fileName: string;
};

/** Patterns that hide everything there is at the top of the context. */
const EVERYTHING: ReadonlySet<string> = new Set(['*', '**', '**/*']);

export interface CopyCheck {
  /** Expanded. */
  readonly sources: readonly string[];
  readonly ignore: ContextIgnore | undefined;
  readonly findings: Findings;
}

/**
 * CopyIgnoredFile. Says nothing where the ignore file takes anything back in with `!`: what is below an ignored directory
 * may then be there after all (BuildKit).
 */
export function checkCopySources(
  instruction: CopyInstruction | AddInstruction,
  { sources, ignore, findings }: CopyCheck,
): void {
  if (!ignore || (instruction.kind === 'COPY' && instruction.from)) return;
  if (ignore.patterns.some(({ negated }) => negated)) return;
  for (const written of sources) {
    if (remoteSource(written) !== undefined) continue;
    const path = cleanPath(written);
    const pattern = isRoot(path)
      ? ignore.patterns.find((candidate) => EVERYTHING.has(candidate.path))
      : ignore.match(path.replace(/^\/+/, '')).pattern;
    if (!pattern) continue;
    const verb = instruction.kind === 'COPY' ? 'Copy' : 'Add';
    const detail = `Attempting to ${verb} file "${path}" that is excluded by ${ignore.fileName}`;
    const hint = `Change line ${pattern.line} of ${ignore.fileName}, "${pattern.text}", or leave the source out`;
    findings.report('CopyIgnoredFile', detail, { ...instruction, hint });
  }
}

function cleanPath(written: string): string {
  const path = posix.normalize(written === '' ? '.' : written);
  return path.length > 1 ? path.replace(/\/$/, '') : path;
}

const isRoot = (path: string): boolean => path === '.' || path === '/';
