import { expect } from 'vitest';
import type { Outcome, Person, RunOptions } from './person.ts';

/** A context and a store of one person, for one test. */
export interface Workspace {
  readonly person: Person;
  readonly context: string;
  readonly store: string;
  /** Writes files into the context. */
  write(files: Readonly<Record<string, string>>): void;
  /** Any command of tsbuild on this store. */
  tsbuild(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** `tsbuild build ARGS CONTEXT`; fails the test where that fails. */
  build(args?: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** The same, for builds that are to fail. */
  tryBuild(args?: readonly string[], options?: RunOptions): Promise<Outcome>;
}

export interface WorkspaceOptions {
  readonly containerfile?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** A store that is there already. */
  readonly store?: string;
}

export function workspace(person: Person, options: WorkspaceOptions = {}): Workspace {
  const context = person.directory();
  const store = options.store ?? person.directory();
  const write = (files: Readonly<Record<string, string>>): void => person.write(context, files);
  write({ ...options.files, ...(options.containerfile === undefined ? {} : { Containerfile: options.containerfile }) });
  const tsbuild = (args: readonly string[], run?: RunOptions) => person.tsbuild(['--root', store, ...args], run);
  const tryBuild = (args: readonly string[] = [], run?: RunOptions) => tsbuild(['build', ...args, context], run);
  return {
    person,
    context,
    store,
    write,
    tsbuild,
    tryBuild,
    build: async (args, run) => succeeded(await tryBuild(args, run)),
  };
}

/** The outcome, if its status is 0; what it printed is in the failure otherwise. */
export function succeeded(outcome: Outcome): Outcome {
  expect(outcome, outcome.stderr).toMatchObject({ status: 0 });
  return outcome;
}

/** The image as `tsbuild inspect` tells it: fields that the tests read. */
export interface Inspected {
  readonly Id: string;
  readonly Digest: string;
  readonly Names: readonly string[];
  readonly MediaType: string;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly RootFS: { readonly Layers: readonly string[] };
}

export async function inspect({ tsbuild }: Workspace, name: string): Promise<Inspected> {
  const { stdout } = succeeded(await tsbuild(['inspect', name]));
  const [image]: readonly Inspected[] = JSON.parse(stdout);
  if (image === undefined) throw new Error(`nothing was inspected: ${stdout}`);
  return image;
}
