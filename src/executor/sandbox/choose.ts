import { BuildError } from '../../errors.ts';
import { OciSandbox } from './oci/sandbox.ts';
import type { Sandbox } from './sandbox.ts';
import { BuiltinSandbox, type BuiltinSandboxOptions, type ExpectedNetwork } from './userns.ts';

/** What keeps a step in: `auto` is `chroot` where there are no namespaces (rung d), and `builtin` on every other rung. */
export const ISOLATIONS = ['auto', 'builtin', 'oci', 'chroot'] as const;
export type Isolation = (typeof ISOLATIONS)[number];

export interface SandboxChoice extends BuiltinSandboxOptions {
  readonly isolation?: Isolation | undefined;
  /** Of `oci`: a program, by its path or its name in `path`. */
  readonly program?: string | undefined;
}

export interface StepSandbox extends Sandbox, Disposable {
  /** Says how many steps will be run, and most of them in which network. */
  expect(steps: number, network?: ExpectedNetwork): void;
}

/** The sandbox for a build in the namespace. */
export function chooseSandbox({ isolation = 'auto', ...options }: SandboxChoice): StepSandbox {
  switch (isolation) {
    case 'auto':
    case 'builtin':
    // whoever has no namespaces uses ChrootSandbox, and only there it may be asked for
    case 'chroot':
      return new BuiltinSandbox(options);
    case 'oci':
      refuseOci(options);
      return new OciSandbox(options);
    default:
      return isolation satisfies never;
  }
}

function refuseOci({ proc, owners }: BuiltinSandboxOptions): void {
  if (proc === 'container') {
    throw new BuildError('E_SANDBOX', 'Cannot use --isolation oci: the kernel mounts no new /proc in this container', {
      hint: 'Use --isolation auto, or start the container with --security-opt systempaths=unconfined',
    });
  }
  if (owners === 'recorded') {
    throw new BuildError('E_SANDBOX', 'Cannot use --isolation oci: only the built-in sandbox records owners', {
      hint: 'Use --isolation auto, or give your user ids in /etc/subuid and /etc/subgid',
    });
  }
}
