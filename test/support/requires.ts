/**
 * Whether a test's capability is there. A missing one is named in the output and fails the run under CI=true, so that
 * nothing is skipped unnoticed. Use: `describe.skipIf(!requires('overlay mounts', probe()))`.
 */
export function requires(capability: string, available: boolean): boolean {
  if (available) return true;
  if (process.env.CI === 'true') throw new Error(`Missing capability: ${capability}`);
  process.stderr.write(`Missing capability, tests skipped: ${capability}\n`);
  return false;
}

/**
 * The same for what no package brings: what a kernel's cgroups allow, a daemon of another product. Prints, and never
 * fails the run.
 */
export function mayLack(capability: string, available: boolean): boolean {
  if (!available) process.stderr.write(`Not possible here, not tested: ${capability}\n`);
  return available;
}
