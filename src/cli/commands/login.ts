import { Command } from 'commander';
import type { Host } from '../host.ts';
import { inSession } from '../session.ts';
import { readAll } from '../stdin.ts';
import { usageError } from '../usage.ts';
import { parseBoolean } from '../values.ts';
import { authfileOption, caFileOption, globalsOf, type Registrar, tlsVerifyOption, withExamples } from './command.ts';

interface Flags {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
  readonly tlsVerify: string;
  readonly caFile?: string;
  readonly authfile?: string;
}

export function loginCommand({ context, setExitCode }: Registrar): Command {
  const command = new Command('login')
    .description('check a user name and password with a registry and keep them for pull and push')
    .argument('<registry>', 'host, e.g. quay.io or localhost:5000')
    .option('-u, --username <name>', 'user name')
    .option('-p, --password <password>', 'password; other users can see it: better --password-stdin')
    .option('--password-stdin', 'read the password from stdin')
    .addOption(tlsVerifyOption())
    .addOption(caFileOption())
    .addOption(authfileOption());
  withExamples(command, ['tsbuild login quay.io', 'tsbuild login -u me --password-stdin quay.io < password-file']);
  return command.action(async (registry: string, flags: Flags) => {
    const opened = await context();
    const tlsVerify = parseBoolean('--tls-verify', flags.tlsVerify);
    const credentials = await readCredentials(opened.host, registry, flags);
    const work = async ({ options }: { options: Parameters<typeof opened.operations.logout>[1] }) => {
      const message = await opened.operations.login(registry, credentials, {
        ...options,
        tlsVerify,
        caFile: flags.caFile,
        authfile: flags.authfile,
      });
      opened.host.stdout.write(`${message}\n`);
      return 0;
    };
    setExitCode(await inSession(opened, { ...globalsOf(command), progress: 'plain' }, work));
  });
}

interface Credentials {
  readonly username: string;
  readonly password: string;
}

async function readCredentials(host: Host, registry: string, flags: Flags): Promise<Credentials> {
  if (flags.password !== undefined && flags.passwordStdin) {
    throw usageError('--password and --password-stdin exclude each other');
  }
  if (flags.passwordStdin && flags.username === undefined) throw usageError('--password-stdin needs --username');
  const username = flags.username ?? (await ask(host, { question: `User name for ${registry}: `, isSecret: false }));
  if (username === '') throw usageError('The user name is empty');
  if (flags.password !== undefined) return { username, password: flags.password };
  if (flags.passwordStdin) {
    const text = Buffer.from(await readAll(host.stdin)).toString('utf8');
    return { username, password: text.replace(/\r?\n$/, '') };
  }
  return { username, password: await ask(host, { question: `Password for ${registry}: `, isSecret: true }) };
}

interface Question {
  readonly question: string;
  readonly isSecret: boolean;
}

async function ask(host: Host, { question, isSecret }: Question): Promise<string> {
  if (host.stdin.isTTY !== true) {
    throw usageError(
      'There is no terminal to ask for the user name and password',
      'use --username and --password-stdin',
    );
  }
  return host.ask(question, { isSecret });
}

export function logoutCommand({ context, setExitCode }: Registrar): Command {
  const command = new Command('logout')
    .description('forget the user name and password for a registry')
    .argument('<registry>', 'host, e.g. quay.io')
    .addOption(authfileOption());
  withExamples(command, ['tsbuild logout quay.io']);
  return command.action(async (registry: string, { authfile }: { readonly authfile?: string }) => {
    const opened = await context();
    const code = await inSession(opened, { ...globalsOf(command), progress: 'plain' }, async ({ options }) => {
      opened.host.stdout.write(`${await opened.operations.logout(registry, { ...options, authfile })}\n`);
      return 0;
    });
    setExitCode(code);
  });
}
