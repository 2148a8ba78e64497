/**
 * Whether a test may run that needs something of the machine. Where it may not, says so by name; on CI a missing
 * capability is a failure, so nothing is skipped in silence.
 */
export function requires(capability: string, available: boolean): boolean {
  if (available) return true;
  const message = `this machine lacks: ${capability}`;
  if (process.env.CI === 'true') throw new Error(message);
  process.stderr.write(`skipped: ${message}\n`);
  return false;
}
