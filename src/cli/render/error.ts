import { BuildError, codeFrame } from '../../index.ts';
import { harmless } from './lines.ts';
import type { Paint } from './paint.ts';
import { place } from './warning.ts';

export interface ErrorStyle {
  readonly paint: Paint;
  /** Causes and stack traces too. */
  readonly isDebug: boolean;
  /** Whether to repeat the last lines of the failing step. */
  readonly hasTail: boolean;
}

/** The whole text for one error: what, where, the last output, what to do next. */
export function renderError(error: BuildError, { paint, isDebug, hasTail }: ErrorStyle): string {
  const lines = [`${paint.error(`error[${error.code}]`)}: ${paint.strong(harmlessLines(error.message))}`];
  if (error.range) lines.push(`  --> ${place(error.range)}`, ...harmlessLines(codeFrame(error.range)).split('\n'));
  if (hasTail && error.outputTail.length > 0) {
    lines.push('last lines of output:', ...error.outputTail.map((line) => `  | ${harmless(line)}`));
  }
  if (error.hint !== undefined) lines.push(`${paint.success('next:')} ${harmlessLines(error.hint)}`);
  if (isDebug) lines.push(...debugLines(error));
  return `${lines.join('\n')}\n`;
}

function harmlessLines(text: string): string {
  return text.replace(/\n+$/, '').split('\n').map(harmless).join('\n');
}

function debugLines(error: BuildError): string[] {
  const facts = Object.entries(error.fields).map(([name, value]) => `  ${name}: ${harmless(String(value))}`);
  const lines = [...facts, ...stackLines(error)];
  let cause: unknown = error.cause;
  for (let depth = 0; cause !== undefined && depth < 10; depth++) {
    const code = cause instanceof BuildError ? `[${cause.code}]` : '';
    const message = cause instanceof Error ? cause.message : String(cause);
    lines.push(`caused by${code}: ${harmlessLines(message)}`, ...(cause instanceof Error ? stackLines(cause) : []));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return lines;
}

function stackLines({ stack = '' }: Error): string[] {
  return stack
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .map(harmless);
}
