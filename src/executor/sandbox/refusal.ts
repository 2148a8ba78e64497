import { readFileSync } from 'node:fs';
import { BuildError, systemErrorCode } from '../../errors.ts';

interface Refusal {
  readonly reason: string;
  readonly hint: string;
}

function setting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    // Kernels and containers differ in what they have and show.
    if (['ENOENT', 'EACCES', 'EPERM'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw error;
  }
}

/** Why this machine refuses a user namespace, from what it shows about itself. */
function findRefusal(): Refusal {
  if (setting('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return {
      reason: 'AppArmor restricts unprivileged user namespaces',
      hint: 'As root, run: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (or load an AppArmor profile with "userns,")',
    };
  }
  if (setting('/proc/sys/user/max_user_namespaces') === '0') {
    return { reason: 'user.max_user_namespaces is 0', hint: 'As root, run: sysctl -w user.max_user_namespaces=15000' };
  }
  if (setting('/proc/sys/kernel/unprivileged_userns_clone') === '0') {
    return {
      reason: 'kernel.unprivileged_userns_clone is 0',
      hint: 'As root, run: sysctl -w kernel.unprivileged_userns_clone=1',
    };
  }
  if (/^Seccomp:\s*2$/m.test(setting('/proc/self/status') ?? '')) {
    return {
      reason: 'the seccomp profile of this container forbids unshare',
      hint: 'Start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or in Kubernetes with hostUsers: false',
    };
  }
  return { reason: 'the kernel refused unshare', hint: 'Try: unshare --user --mount true, and see what it says' };
}

/** `E_NO_USERNS`, naming the cause and the fix. */
export function explainRefusal(): BuildError {
  const { reason, hint } = findRefusal();
  return new BuildError('E_NO_USERNS', `Cannot create a user namespace: ${reason}`, { hint });
}
