import { version } from './version.ts';

/** The only file that knows `process`. `--version` loads nothing else of the program. */
async function main(): Promise<void> {
  if (process.argv.length === 3 && process.argv[2] === '--version') {
    process.stdout.write(`${version}\n`);
    return;
  }
  const [{ createHost }, { run }, operations] = await Promise.all([
    import('./process-host.ts'),
    import('./run.ts'),
    import('../index.ts'),
  ]);
  process.exitCode = await run(createHost(), operations);
  // Workers, sockets kept alive and stdin must not hold the process once its work is done.
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit();
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}

void main();
