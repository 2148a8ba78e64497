import type { Command } from 'commander';
import type { ImageOptions } from '../../index.ts';
import { usageError } from '../usage.ts';
import { collect, parseBoolean, parseLabels, platformList } from '../values.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What the image is, and says of itself. */
export interface ImageFlags {
  readonly label?: readonly string[];
  readonly unsetlabel?: readonly string[];
  readonly inheritLabels: string;
  readonly identityLabel: string;
  readonly env?: readonly string[];
  readonly unsetenv?: readonly string[];
  readonly annotation?: readonly string[];
  readonly unsetannotation?: readonly string[];
  readonly inheritAnnotations: string;
  readonly createdAnnotation: string;
  readonly from?: string;
  readonly platform?: readonly string[];
  readonly os?: string;
  readonly arch?: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly osFeature?: readonly string[];
}

export function addImageOptions(command: Command): Command {
  return command
    .optionsGroup('Image:')
    .option('--label <name[=value]>', 'label of the image; wins over LABEL (repeatable)', collect)
    .option('--unsetlabel <name>', 'leave this label out of the image (repeatable)', collect)
    .option('--inherit-labels <bool>', 'keep the labels of base images', 'true')
    .option('--identity-label <bool>', 'add the label io.tsbuild.version', 'false')
    .option(
      '--env <name[=value]>',
      'variable that RUN sees and the image keeps, unless ENV sets it; without a value taken from the environment (repeatable)',
      collect,
    )
    .option('--unsetenv <name>', 'leave this variable out of the image (repeatable)', collect)
    .option('--annotation <name[=value]>', 'annotation of the manifest (repeatable; --format oci)', collect)
    .option('--unsetannotation <name>', 'leave this annotation out (repeatable)', collect)
    .option('--inherit-annotations <bool>', "keep the annotations of the base image's manifest", 'false')
    .option('--created-annotation <bool>', 'add the annotation org.opencontainers.image.created', 'false')
    .option('--from <image>', 'take this image in the first FROM')
    .option(
      '--platform <os/arch[/variant]>',
      "platform to build for (default: this machine's); several, with commas, make an index (repeatable)",
      collect,
    )
    .option('--os <name>', 'the same by its parts; not together with --platform')
    .option('--arch <name>', 'as --os')
    .option('--variant <name>', 'as --os')
    .option('--os-version <version>', 'os.version of the image')
    .option('--os-feature <name>', 'add to os.features of the image, or take away with "name-" (repeatable)', collect);
}

export function imageOptions(flags: ImageFlags, { env, version }: { env: Environment; version: string }): ImageOptions {
  const identity = parseBoolean('--identity-label', flags.identityLabel) ? { 'io.tsbuild.version': version } : {};
  return {
    labels: { ...identity, ...parseLabels(flags.label ?? []) },
    edits: {
      env: parseEnvironment(flags.env ?? [], env),
      unsetEnv: flags.unsetenv ?? [],
      unsetLabels: flags.unsetlabel ?? [],
      inheritLabels: parseBoolean('--inherit-labels', flags.inheritLabels),
      annotations: parseAnnotations(flags.annotation ?? []),
      unsetAnnotations: flags.unsetannotation ?? [],
      inheritAnnotations: parseBoolean('--inherit-annotations', flags.inheritAnnotations),
      osFeatures: flags.osFeature ?? [],
    },
    from: flags.from,
    platforms: platformTexts(flags),
    osVersion: flags.osVersion,
    createdAnnotation: parseBoolean('--created-annotation', flags.createdAnnotation),
  };
}

/** The Docker manifest has no place for them, and leaving them out silently would be a surprise at deployment. */
export function refuseAnnotations({ edits, createdAnnotation }: ImageOptions, format: 'oci' | 'docker'): void {
  const hasSome = createdAnnotation || edits?.inheritAnnotations || Object.keys(edits?.annotations ?? {}).length > 0;
  if (format === 'docker' && hasSome)
    throw usageError('Images of the Docker format have no annotations', 'use --format oci, or labels');
}

/** `K=V`; `K` alone takes the value from the environment and is left out where it is unset there. */
function parseEnvironment(texts: readonly string[], env: Environment): Record<string, string> {
  const pairs = texts.flatMap((text): [string, string][] => {
    const [name, value] = cut(text);
    if (name === '') throw usageError(`--env "${text}" has no name`, 'write --env NAME=VALUE');
    const known = value ?? env[name];
    return known === undefined ? [] : [[name, known]];
  });
  return Object.fromEntries(pairs);
}

/** Buildx says of what with a prefix; we write manifests only. */
function parseAnnotations(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text): [string, string] => {
    const [name, value = ''] = cut(text.replace(/^manifest:/, ''));
    if (name === '') throw usageError(`Annotation "${text}" has no name`, 'write --annotation NAME=VALUE');
    const place = /^(index|index-descriptor|manifest-descriptor|manifest)(\[[^\]]*\])?:/.exec(text);
    if (place && place[0] !== 'manifest:')
      throw usageError(`Annotations of "${place[0].slice(0, -1)}" are not supported yet`, 'write manifest:NAME=VALUE');
    return [name, value];
  });
  return Object.fromEntries(pairs);
}

function cut(text: string): [string, string | undefined] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}

function platformTexts({ platform, os, arch, variant }: ImageFlags): readonly string[] {
  if (os === undefined && arch === undefined && variant === undefined)
    return platformList(platform ?? []).flatMap(completePlatform);
  if (platform !== undefined) {
    throw usageError('--platform and --os, --arch or --variant exclude each other', 'write --platform OS/ARCH/VARIANT');
  }
  if (arch === undefined && variant !== undefined)
    throw usageError('--variant needs --arch', 'e.g. --arch arm --variant v7');
  return completePlatform([os ?? '', arch ?? '', ...(variant === undefined ? [] : [variant])].join('/'));
}

/** As in buildah, an empty part means that of this machine: `/arm`, `linux/`. */
function completePlatform(text: string): readonly string[] {
  const [os, arch, ...rest] = text.split('/');
  if (os === undefined || arch === undefined) return [text];
  if (arch === '' && rest.length === 0) return os === '' ? [] : [os];
  return [[os === '' ? 'linux' : os, arch, ...rest].join('/')];
}
