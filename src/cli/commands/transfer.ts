import { Command } from 'commander';
import type { Delegated } from '../../index.ts';
import { progressMode } from '../render/create.ts';
import { type CommandContext, inSession, type Session, selfCommand } from '../session.ts';
import { choice, parseBoolean, parseCompression, singlePlatform } from '../values.ts';
import {
  authfileOption,
  caFileOption,
  compressionOption,
  forceCompressionOption,
  globalsOf,
  progressOption,
  type Registrar,
  tlsVerifyOption,
  withExamples,
} from './command.ts';

interface Flags {
  readonly platform?: string;
  readonly format?: string;
  readonly compression?: string;
  readonly forceCompression?: boolean;
  readonly quiet?: boolean;
  readonly progress: string;
  readonly tlsVerify: string;
  readonly caFile?: string;
  readonly authfile?: string;
}

interface Transfer {
  readonly command: Command;
  readonly flags: Flags;
  readonly activity: string;
}

type Work = (session: Session, context: CommandContext) => Promise<readonly string[] | Delegated>;

/** Runs one transfer and prints its results, one a line. */
async function runTransfer({ context, setExitCode }: Registrar, transfer: Transfer, work: Work): Promise<void> {
  const { command, flags, activity } = transfer;
  const progress = flags.quiet ? 'quiet' : progressMode(flags.progress);
  const opened = await context();
  const code = await inSession(opened, { ...globalsOf(command), progress, activity }, async (session) => {
    const result = await work(session, opened);
    // an ordinary user's layers are read inside the namespace: the command has run again there
    if ('exitCode' in result) return result.exitCode;
    for (const line of result) opened.host.stdout.write(`${line}\n`);
    return 0;
  });
  setExitCode(code);
}

const access = (flags: Flags) => ({
  tlsVerify: parseBoolean('--tls-verify', flags.tlsVerify),
  caFile: flags.caFile,
  authfile: flags.authfile,
});

const quietOption = ['-q, --quiet', 'print the result only'] as const;

export function pullCommand(registrar: Registrar): Command {
  const command = new Command('pull')
    .description('fetch an image from a registry into the store; prints the image ID')
    .argument('<name>', 'image, e.g. quay.io/me/image0:1.2')
    .option('--platform <os/arch>', "platform to choose from a list (default: this machine's)")
    .option(...quietOption)
    .addOption(progressOption())
    .addOption(tlsVerifyOption())
    .addOption(caFileOption())
    .addOption(authfileOption());
  withExamples(command, ['tsbuild pull debian:stable', 'tsbuild pull --platform linux/arm64 localhost:5000/me/image0']);
  return command.action(async (name: string, flags: Flags) => {
    const platform = singlePlatform(flags.platform);
    const options = { ...access(flags), ...(platform !== undefined && { platform }) };
    await runTransfer(registrar, { command, flags, activity: `Pulling ${name}` }, async (session, { operations }) => {
      const { imageId } = await operations.pull(name, { ...options, ...session.options });
      return [imageId];
    });
  });
}

export function pushCommand(registrar: Registrar): Command {
  const command = new Command('push')
    .description('send an image from the store to a registry, a layout or an archive; prints the manifest digest')
    .argument('<image>', 'name or ID in the store')
    .argument(
      '[destination]',
      'docker://NAME (or NAME), oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:TAG]',
    )
    .option('--platform <os/arch>', 'of an image for several platforms only that for this one')
    .option('--format <format>', 'manifest format: oci or docker (default: as the image is)')
    .addOption(compressionOption())
    .addOption(forceCompressionOption())
    .option(...quietOption)
    .addOption(progressOption())
    .addOption(tlsVerifyOption())
    .addOption(caFileOption())
    .addOption(authfileOption());
  withExamples(command, [
    'tsbuild push image0 quay.io/me/image0',
    'tsbuild push --tls-verify=false image0 docker://registry.local:5000/image0',
    'tsbuild push image0 oci-archive:image0.oci.tar',
  ]);
  return command.action(async (image: string, destination: string | undefined, flags: Flags) => {
    const format = flags.format === undefined ? undefined : choice('--format', flags.format, ['oci', 'docker']);
    const platform = singlePlatform(flags.platform);
    const packing = {
      compression: flags.compression === undefined ? undefined : parseCompression('--compression', flags.compression),
      forceCompression: flags.forceCompression,
    };
    const options = { ...access(flags), ...packing, platform, ...(format !== undefined && { format }) };
    await runTransfer(
      registrar,
      { command, flags, activity: `Pushing ${image}` },
      async (session, { host, operations }) => {
        const self = { self: selfCommand(host) };
        const result = await operations.push(image, destination, { ...options, ...session.options, ...self });
        return 'manifest' in result ? [result.manifest] : result;
      },
    );
  });
}

export function loadCommand(registrar: Registrar): Command {
  const command = new Command('load')
    .description('read images from an OCI or Docker archive or an OCI layout into the store; prints their names')
    .argument('[input]', 'file or directory; "-" is stdin', '-')
    .option('-i, --input <file>', 'the same as the argument')
    .option(...quietOption)
    .addOption(progressOption());
  withExamples(command, ['tsbuild load image0.oci.tar', 'docker save image0 | tsbuild load']);
  return command.action(async (argument: string, flags: Flags & { readonly input?: string }) => {
    const input = flags.input ?? argument;
    await runTransfer(
      registrar,
      { command, flags, activity: `Loading ${input}` },
      async (session, { host, operations }) => {
        const images = await operations.load(input, { ...session.options, stdin: host.stdin });
        return images.map(({ name, imageId }) => (name === '' ? imageId : name));
      },
    );
  });
}

export function importCommand(registrar: Registrar): Command {
  const command = new Command('import')
    .description('make a one-layer image from the tar of a root filesystem; prints the image ID')
    .argument('<rootfs>', 'tar file, also compressed; "-" is stdin')
    .argument('<name>', 'name of the image')
    .option(...quietOption)
    .addOption(progressOption());
  withExamples(command, [
    'tsbuild import rootfs.tar debian-base',
    'mmdebstrap --variant=apt stable | tsbuild import - debian-base',
  ]);
  return command.action(async (rootfs: string, name: string, flags: Flags) => {
    await runTransfer(
      registrar,
      { command, flags, activity: `Importing ${rootfs}` },
      async (session, { host, operations }) => {
        const { imageId } = await operations.importRootfs(rootfs, name, { ...session.options, stdin: host.stdin });
        return [imageId];
      },
    );
  });
}
