import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { BuildError } from '../../../errors.ts';
import type { ProcessSpec } from '../sandbox.ts';
import { BuiltinSandbox, type BuiltinSandboxOptions } from '../userns.ts';
import { findRuntimes, isExecutable, type OciRuntime, openBundle } from './runtime.ts';

export interface OciOptions extends Omit<BuiltinSandboxOptions, 'proc' | 'runtime'> {
  /** A program by its path, or by its name in $PATH; default: the first of crun, runc and youki that works. */
  readonly program?: string | undefined;
}

/**
 * Runs steps by an OCI runtime, in the user namespace and with the roots that the built-in sandbox makes. To be used inside
 * `enterNamespace` only. The first step decides which runtime works here, by running each.
 */
export class OciSandbox extends BuiltinSandbox {
  constructor(options: OciOptions = {}) {
    super({ ...options, runtime: new ProbedRuntime(options) });
  }
}

/** A program that is in no image: a runtime that fails for it alone has made everything around it. */
const TRIAL: ProcessSpec = {
  argv: ['/tsbuild-trial'],
  env: {},
  cwd: '/',
  uid: 0,
  gid: 0,
  groups: [],
  network: 'host',
  hostname: 'trial',
  directories: [],
  files: [],
  mounts: [],
};

class ProbedRuntime implements OciRuntime {
  readonly #options: OciOptions;
  #found: Promise<string> | undefined;

  constructor(options: OciOptions) {
    this.#options = options;
  }

  async createBundle(spec: ProcessSpec) {
    this.#found ??= this.#find();
    return openBundle(await this.#found, spec);
  }

  async #find(): Promise<string> {
    const programs = this.#candidates();
    const failures: string[] = [];
    for (const program of programs) {
      const failure = await this.#try(program);
      if (failure === undefined) return program;
      failures.push(failure);
    }
    if (failures.length === 0) {
      throw new BuildError('E_SANDBOX', 'Cannot use --isolation oci: there is no crun, runc or youki', {
        hint: 'Install one (Debian: runc), name one with --runtime, or use --isolation builtin',
      });
    }
    throw new BuildError('E_SANDBOX', `Cannot use --isolation oci: ${failures.join('; ')}`, {
      hint: 'Install another runtime (Debian: runc), or use --isolation builtin',
    });
  }

  #candidates(): readonly string[] {
    const { program, path = '' } = this.#options;
    if (program === undefined) return findRuntimes(path);
    const paths = program.includes('/') ? [program] : path.split(':').map((place) => `${place}/${program}`);
    const found = paths.find(isExecutable);
    if (found !== undefined) return [found];
    throw new BuildError('E_USAGE', `Cannot use the runtime "${program}": there is no such program`, {
      hint: 'Give its path, or a name in $PATH',
    });
  }

  /** Why it does not work here; undefined: it does. */
  async #try(program: string): Promise<string | undefined> {
    const runtime: OciRuntime = { createBundle: async (spec) => openBundle(program, spec) };
    using sandbox = new BuiltinSandbox({ worker: this.#options.worker, runtime });
    sandbox.expect(0);
    const root = mkdtempSync(`${tmpdir()}/tsbuild-trial-`);
    try {
      const io = { onOutput: () => {} };
      const { status } = await sandbox.run(TRIAL, { type: 'bind', source: root }, io, new AbortController().signal);
      return status.kind === 'not-started' ? undefined : `${program} ended with ${JSON.stringify(status)}`;
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      return error.message;
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }
}
