import type { Command } from 'commander';
import type { BuildResult, ResultOptions } from '../../index.ts';
import { compressionOption, forceCompressionOption } from '../commands/command.ts';
import { parseOutput } from '../output-option.ts';
import { writeResultFile } from '../result-file.ts';
import { parseSize } from '../sandbox-values.ts';
import { usageError } from '../usage.ts';
import { choice, collect, parseBoolean, parseCompression } from '../values.ts';

export interface ResultFlags {
  readonly tag?: readonly string[];
  readonly output?: readonly string[];
  readonly format: string;
  readonly compression?: string;
  readonly forceCompression?: boolean;
  readonly push?: boolean;
  readonly load?: boolean;
  readonly squash?: boolean;
  readonly layers: string;
  readonly rm: string;
  readonly forceRm: string;
  readonly iidfile?: string;
  readonly iidfileRaw?: string;
  readonly metadataFile?: string;
  readonly keepStorage?: string;
}

export function addResultOptions(command: Command): Command {
  return command
    .optionsGroup('Results:')
    .option('-t, --tag <name>', 'name of the image (repeatable)', collect)
    .option(
      '-o, --output <spec>',
      'type=oci|docker|local|tar,dest=PATH|-, with oci also compression=KIND; a bare DIR means type=local (repeatable)',
      collect,
    )
    .option('--push', 'send the image to the registries that the tags name')
    .option('--load', 'keep the image in the store; always so')
    .option('--format <format>', 'manifest format: oci or docker', 'oci')
    .addOption(compressionOption())
    .addOption(forceCompressionOption())
    .option('--squash', 'make one layer of everything, base image included')
    .option('--layers <bool>', 'keep one layer a step in the cache; only true', 'true')
    .option('--rm <bool>', 'leave no containers behind; only true', 'true')
    .option('--force-rm <bool>', 'the same after a failure; only true', 'true')
    .option('--iidfile <file>', 'write the image ID to this file after success')
    .option('--iidfile-raw <file>', 'write the image ID without "sha256:"')
    .option('--metadata-file <file>', 'write names and digests as JSON after success, in the form of docker buildx')
    .option('--keep-storage <size>', 'after success prune the cache to so much, longest unused first, e.g. 20g');
}

export function resultOptions(flags: ResultFlags): ResultOptions {
  requireTrue(
    '--layers',
    flags.layers,
    'every step is kept in the cache; --no-cache does not use it, --squash makes one layer',
  );
  requireTrue('--rm', flags.rm, 'steps run without containers, so there is none to keep');
  requireTrue('--force-rm', flags.forceRm, 'steps run without containers, so there is none to keep');
  const tags = flags.tag ?? [];
  if (flags.push && tags.length === 0) throw usageError('--push needs a name to push to', 'add -t REGISTRY/NAME');
  return {
    tags,
    outputs: (flags.output ?? []).map(parseOutput),
    format: choice('--format', flags.format, ['oci', 'docker']),
    compression: flags.compression === undefined ? undefined : parseCompression('--compression', flags.compression),
    forceCompression: flags.forceCompression,
    squash: flags.squash === true,
    push: flags.push === true,
    keepStorageBytes: flags.keepStorage === undefined ? undefined : parseSize('--keep-storage', flags.keepStorage),
  };
}

function requireTrue(option: string, text: string, why: string): void {
  if (!parseBoolean(option, text)) throw usageError(`${option}=false is not supported: ${why}`);
}

/** What a build leaves for scripts to read. */
export function writeResultFiles(result: BuildResult, flags: ResultFlags): void {
  const { imageId, descriptor, names } = result;
  if (flags.iidfile !== undefined) writeResultFile(flags.iidfile, imageId, 'image ID');
  if (flags.iidfileRaw !== undefined) writeResultFile(flags.iidfileRaw, imageId.replace(/^\w+:/, ''), 'image ID');
  if (flags.metadataFile === undefined) return;
  const isIndex = imageId === result.manifest;
  const metadata = {
    // an index has none
    ...(isIndex ? {} : { 'containerimage.config.digest': imageId }),
    'containerimage.descriptor': descriptor,
    'containerimage.digest': descriptor.digest,
    ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
  };
  writeResultFile(flags.metadataFile, `${JSON.stringify(metadata, null, 2)}\n`, 'metadata');
}
