import { Command } from 'commander';
import { formatSize, formatTable } from '../render/format.ts';
import { parseSize } from '../sandbox-values.ts';
import { type CommandContext, confirm, inSession, type Session, selfCommand } from '../session.ts';
import { choice, collect, parseUntil } from '../values.ts';
import { globalsOf, type Registrar, withExamples } from './command.ts';

/** Runs one command over the store; `work` gives the text for stdout, or an exit code where it has said all itself. */
export async function runOnStore(
  { context, setExitCode }: Registrar,
  command: Command,
  work: (session: Session, context: CommandContext) => Promise<string | number>,
): Promise<void> {
  const opened = await context();
  const code = await inSession(opened, { ...globalsOf(command), progress: 'plain' }, async (session) => {
    const result = await work(session, opened);
    if (typeof result === 'number') return result;
    opened.host.stdout.write(result);
    return 0;
  });
  setExitCode(code);
}

const lines = (values: readonly string[]): string => values.map((value) => `${value}\n`).join('');
const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

interface ImagesFlags {
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly format: string;
}

export function imagesCommand(registrar: Registrar): Command {
  const command = new Command('images')
    .description('list the images in the store')
    .option('-q, --quiet', 'print image IDs only')
    .option('--json', 'the same as --format json')
    .option('--format <format>', 'table or json', 'table');
  withExamples(command, ['tsbuild images', 'tsbuild images --json', 'tsbuild rmi $(tsbuild images -q)']);
  return command.action(async (flags: ImagesFlags) => {
    const format = choice('--format', flags.json ? 'json' : flags.format, ['table', 'json']);
    await runOnStore(registrar, command, async ({ options }, { operations }) => {
      const images = await operations.listImages(options);
      if (flags.quiet) return lines([...new Set(images.map(({ imageId }) => imageId))]);
      if (format === 'json') return json(images);
      const rows = images.map(({ name, imageId, created, sizeBytes, platform }) => [
        name === '' ? '<none>' : name,
        imageId.replace(/^sha256:/, '').slice(0, 12),
        created?.slice(0, 16).replace('T', ' ') ?? '-',
        formatSize(sizeBytes),
        platform,
      ]);
      return formatTable([['NAME', 'IMAGE ID', 'CREATED', 'SIZE', 'PLATFORM'], ...rows]);
    });
  });
}

export function tagCommand(registrar: Registrar): Command {
  const command = new Command('tag')
    .description('give an image another name; prints the name in full')
    .argument('<image>', 'name or ID in the store')
    .argument('<name>', 'the new name');
  withExamples(command, ['tsbuild tag image0 quay.io/me/image0:1.2']);
  return command.action(async (image: string, name: string) => {
    await runOnStore(registrar, command, async ({ options }, { operations }) =>
      lines([await operations.tagImage(image, name, options)]),
    );
  });
}

export function rmiCommand(registrar: Registrar): Command {
  const command = new Command('rmi')
    .description('remove names, and images without a name left; prints what was removed')
    .argument('<images...>', 'names or IDs in the store')
    .option('-f, --force', 'remove an image with all its names, and do not fail on images that are not there');
  withExamples(command, ['tsbuild rmi image0', 'tsbuild rmi -f 3f1c2a9b8d7e']);
  return command.action(async (images: readonly string[], { force = false }: { readonly force?: boolean }) => {
    await runOnStore(registrar, command, async ({ options }, { operations }) =>
      lines(await operations.removeImages(images, { force }, options)),
    );
  });
}

export function inspectCommand(registrar: Registrar): Command {
  const command = new Command('inspect')
    .description('print images as a JSON array')
    .argument('<images...>', 'names or IDs in the store');
  withExamples(command, ['tsbuild inspect image0', "tsbuild inspect image0 | jq '.[0].config.config.Env'"]);
  return command.action(async (images: readonly string[]) => {
    await runOnStore(registrar, command, async ({ options }, { operations }) => {
      const found: unknown[] = [];
      for (const image of images) found.push(await operations.inspectImage(image, options));
      return json(found);
    });
  });
}

interface PruneFlags {
  readonly all?: boolean;
  readonly force?: boolean;
  readonly filter?: readonly string[];
  readonly keepStorage?: string;
}

export function pruneCommand(registrar: Registrar): Command {
  const command = new Command('prune')
    .description('remove what no image needs: old layers, blobs and cache records')
    .option('-a, --all', 'also remove images without a name, and the whole cache')
    .option('-f, --force', 'do not ask')
    .option('--filter <until=duration>', 'cached steps that were not used for so long, e.g. until=24h', collect)
    .option('--keep-storage <size>', 'cached steps until all fits in so much, longest unused first, e.g. 10g');
  withExamples(command, [
    'tsbuild prune',
    'tsbuild prune -af',
    'tsbuild prune -f --filter until=168h --keep-storage 20g',
  ]);
  return command.action(async ({ all = false, force = false, filter = [], keepStorage }: PruneFlags) => {
    const limits = {
      unusedForMs: parseUntil(filter),
      keepBytes: keepStorage === undefined ? undefined : parseSize('--keep-storage', keepStorage),
    };
    await runOnStore(registrar, command, async ({ options }, { host, operations }) => {
      if (!force) await confirm(host, all ? 'Remove unnamed images and the whole cache' : 'Remove what no image needs');
      const result = await operations.prune({ all, force, ...limits }, { ...options, self: selfCommand(host) });
      if ('kind' in result) return result.exitCode;
      return `${result.removed} removed, ${formatSize(result.freedBytes)} freed\n`;
    });
  });
}

export function infoCommand(registrar: Registrar): Command {
  const command = new Command('info').description('print what this machine allows, and which sandbox is used and why');
  withExamples(command, ['tsbuild info']);
  return command.action(async () => {
    await runOnStore(registrar, command, async ({ options }, { operations }) => {
      const report = await operations.info(options);
      const width = Math.max(0, ...report.lines.map(({ name }) => name.length));
      return lines(
        report.lines.flatMap(({ name, value, hint }) => [
          `${`${name}:`.padEnd(width + 1)} ${value}`,
          ...(hint === undefined ? [] : [`${' '.repeat(width + 2)}next: ${hint}`]),
        ]),
      );
    });
  });
}
