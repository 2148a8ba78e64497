import { describe, expect, it } from 'vitest';
import { exitCodeOf, SignalReceived, toBuildError } from '../../src/cli/failure.ts';
import { renderError } from '../../src/cli/render/error.ts';
import { PLAIN_PAINT } from '../../src/cli/render/paint.ts';
import { BuildError } from '../../src/errors.ts';
import { runRange } from './recorded-events.ts';

const style = { paint: PLAIN_PAINT, isDebug: false, hasTail: true };
const { signal } = new AbortController();

describe('an error', () => {
  it('names code, place, source, output and the next step', async () => {
    const error = new BuildError('E_RUN_FAILED', 'The command "make" failed with exit status 2', {
      range: runRange,
      hint: 'install gcc',
      outputTail: ['cc: not found'],
    });
    await expect(renderError(error, style)).toMatchFileSnapshot('goldens/error-run-failed.txt');
  });

  it('cannot control the terminal', () => {
    const error = new BuildError('E_PARSE', 'Unknown "\u0007 \u001b[2J"', { outputTail: ['\u001b]0;x\u0007y'] });
    expect(renderError(error, style)).toBe('error[E_PARSE]: Unknown "\\x07 "\nlast lines of output:\n  | y\n');
  });

  it('shows its causes and facts with --debug only', () => {
    const cause = new BuildError('E_TLS', 'Certificate expired', { cause: new Error('CERT_HAS_EXPIRED') });
    const error = new BuildError('E_UNAVAILABLE', 'Cannot reach "quay.io"', { cause, fields: { attempts: 3 } });
    expect(renderError(error, style)).not.toContain('caused by');
    const text = renderError(error, { ...style, isDebug: true });
    expect(text).toContain('  attempts: 3\n');
    expect(text).toContain('caused by[E_TLS]: Certificate expired\n');
    expect(text).toContain('caused by: CERT_HAS_EXPIRED\n');
  });
});

describe('the exit code', () => {
  it.each([
    ['E_PARSE', 3],
    ['E_CONTEXT', 4],
    ['E_RUN_FAILED', 5],
    ['E_NO_USERNS', 6],
    ['E_NOT_FOUND', 7],
    ['E_DIGEST_MISMATCH', 8],
    ['E_NO_SPACE', 9],
  ] as const)('of %s is %i', (code, exit) => {
    expect(exitCodeOf(new BuildError(code, 'x'), signal)).toBe(exit);
  });

  it('of anything unknown is 1, of a full disk 9', () => {
    expect(toBuildError(new TypeError('x'), signal).exitCode).toBe(1);
    const suppressed = Object.assign(new Error('disposal'), {
      name: 'SuppressedError',
      suppressed: new BuildError('E_RUN_FAILED', 'x'),
    });
    expect(toBuildError(suppressed, signal)).toMatchObject({ code: 'E_RUN_FAILED', message: 'x' });
    expect(toBuildError('text', signal).code).toBe('E_INTERNAL');
    expect(toBuildError(Object.assign(new Error('x'), { code: 'ENOSPC' }), signal).code).toBe('E_NO_SPACE');
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('after %s is %i, whatever the error', (name, exit) => {
    const aborted = AbortSignal.abort(new SignalReceived(name));
    expect(toBuildError(new Error('aborted'), aborted).code).toBe('E_CANCELLED');
    expect(exitCodeOf(new BuildError('E_REGISTRY', 'x'), aborted)).toBe(exit);
  });
});
