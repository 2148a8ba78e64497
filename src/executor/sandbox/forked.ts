import type { ChildProcess } from 'node:child_process';

/** Resolves when a forked process has ended and all that it said is heard: its end may be told before its last messages. */
export async function endOf(child: ChildProcess): Promise<void> {
  const told = ['exit', 'disconnect'].map(
    (event) => new Promise<void>((resolve) => child.once(event, () => resolve())),
  );
  await Promise.all(told);
}
