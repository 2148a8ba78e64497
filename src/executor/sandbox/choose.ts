import { BuildError } from '../../errors.ts';
import type { NetworkRequest } from './network/index.ts';
import { OciSandbox } from './oci/sandbox.ts';
import type { Sandbox } from './sandbox.ts';
import { BuiltinSandbox, type BuiltinSandboxOptions } from './userns.ts';

/** What keeps a step in: `auto` is the built-in sandbox on every rung that it works on. */
export const ISOLATIONS = ['auto', 'builtin', 'oci', 'chroot'] as const;
export type Isolation = (typeof ISOLATIONS)[number];

export interface SandboxChoice extends BuiltinSandboxOptions {
  readonly isolation?: Isolation | undefined;
  /** Of `oci`: a program, by its path or its name in `path`. */
  readonly program?: string | undefined;
}

export interface StepSandbox extends Sandbox, Disposable {
  /** Says how many steps will be run, and most of them in which network. */
  expect(steps: number, network?: Pick<NetworkRequest, 'mode' | 'helper'>): void;
}

/** The one place that knows which sandboxes there are. */
export function chooseSandbox({ isolation = 'auto', ...options }: SandboxChoice): StepSandbox {
  switch (isolation) {
    case 'auto':
    case 'builtin':
      return new BuiltinSandbox(options);
    case 'oci':
      return new OciSandbox(options);
    case 'chroot':
      throw new BuildError('E_UNSUPPORTED', '--isolation chroot is not possible inside of a namespace', {
        hint: 'Use --isolation auto',
      });
    default:
      return isolation satisfies never;
  }
}
