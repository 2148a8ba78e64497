import type { SshIdentity } from '../index.ts';
import { parseCsvRecord } from './csv.ts';
import { usageError } from './usage.ts';

/** `default`, `ID` (both: $SSH_AUTH_SOCK), `ID=SOCKET`, `ID=KEY[,KEY...]`, as docker buildx reads it. */
export function parseSshIdentities(
  texts: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): readonly SshIdentity[] {
  return texts.map((text) => {
    const equals = text.indexOf('=');
    const id = equals < 0 ? text : text.slice(0, equals);
    if (id === '') throw usageError(`--ssh "${text}" has no id`, 'write --ssh default, or --ssh ID=SOCKET');
    const paths = equals < 0 ? [] : parseCsvRecord(text.slice(equals + 1)).filter((path) => path !== '');
    if (paths.length > 0) return { id, paths };
    if (env.SSH_AUTH_SOCK) return { id, paths: [env.SSH_AUTH_SOCK] };
    throw usageError(
      `--ssh "${text}" needs an agent, and SSH_AUTH_SOCK is not set`,
      `start one with eval "$(ssh-agent)" and ssh-add, or name a key: --ssh ${id}=~/.ssh/id_ed25519`,
    );
  });
}
