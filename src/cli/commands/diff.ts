import { Command } from 'commander';
import type { ImageDifferences } from '../../index.ts';
import { printable } from '../render/format.ts';
import { selfCommand } from '../session.ts';
import { type Registrar, withExamples } from './command.ts';
import { runOnStore } from './store.ts';

interface DiffFlags {
  readonly json?: boolean;
  readonly exitCode?: boolean;
  readonly platform?: string;
}

/** `tsbuild diff`: why two images are not the same. */
export function diffCommand(registrar: Registrar): Command {
  const command = new Command('diff')
    .description('say why two images differ: manifest, config, and the files of each layer')
    .argument(
      '<image1>',
      'name or ID in the store, name in a registry, or oci:DIR, oci-archive:FILE, docker-archive:FILE',
    )
    .argument('<image2>', 'the same')
    .option('--json', 'as JSON')
    .option('--exit-code', 'end with 1 where they differ')
    .option('--platform <os/arch>', 'which one of an index; default: that of this machine');
  withExamples(command, ['tsbuild diff app:1 app:2', 'tsbuild diff app oci-archive:app.tar']);
  return command.action(async (one: string, other: string, flags: DiffFlags) => {
    await runOnStore(registrar, command, async ({ options }, { host, operations }) => {
      const settings = { ...options, platform: flags.platform, self: selfCommand(host) };
      const found = await operations.diffImages(one, other, settings);
      if ('kind' in found) return found.exitCode;
      host.stdout.write(flags.json ? `${JSON.stringify(found, undefined, 2)}\n` : report(found));
      const [left, right] = found.digests;
      return flags.exitCode && left !== right ? 1 : 0;
    });
  });
}

function report({ digests, manifest, config, layers }: ImageDifferences): string {
  if (digests[0] === digests[1]) return `the same image: ${digests[0]}\n`;
  const lines = [
    ...manifest.flatMap((difference) => jsonLines('manifest', difference)),
    ...config.flatMap((difference) => jsonLines('config', difference)),
    ...layers.flatMap(layerLines),
  ];
  const only = 'the same config and layers: only how the layers are compressed differs';
  return `${(lines.length === 0 ? [only] : lines).map(printable).join('\n')}\n`;
}

const jsonLines = (document: string, { path, one, other }: ImageDifferences['config'][number]): readonly string[] => [
  `${document}: ${path}`,
  ...(one === undefined ? [] : [`- ${one}`]),
  ...(other === undefined ? [] : [`+ ${other}`]),
];

const SIGNS = { added: '+', removed: '-', changed: '~' } as const;

function layerLines({ index, createdBy, diffIds, files }: ImageDifferences['layers'][number]): readonly string[] {
  const [one, other] = createdBy;
  const [before, after] = diffIds;
  const head = `layer ${index + 1}: ${one ?? other ?? ''}`;
  if (before === undefined || after === undefined) return [head, `${before === undefined ? '+' : '-'} the whole layer`];
  const steps = one === other ? [] : [`~ made by another step: ${other ?? ''}`];
  if (files.length === 0) return [head, ...steps, '~ the same files in another order, or headers in another form'];
  return [
    head,
    ...steps,
    ...files.flatMap(({ kind, path, what }) => [`${SIGNS[kind]} /${path}`, ...what.map((text) => `    ${text}`)]),
  ];
}
