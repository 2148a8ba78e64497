import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DirectoryChain } from './chain.ts';
import { copyChain } from './copy-chain.ts';
import { finishDirectory } from './copy-node.ts';
import { diffInto } from './diff-walk.ts';
import { formOf, identifyTar } from './dir-tar.ts';
import { freeze, settleFresh } from './freeze.ts';
import type { Job, JobKind, JobOf, JobOutput } from './jobs.ts';
import type { LayerMeta } from './layer-meta.ts';
import { implicitDirectory } from './layer-tree.ts';
import type { FoundFile } from './layer-walk.ts';
import { settle } from './unsettled.ts';

/** Jobs without a stream. */
export function runJob(job: Job): JobOutput<JobKind> {
  switch (job.kind) {
    case 'complete':
      return new DirectoryChain(job.layers).complete(job.target, job.owners);
    case 'prepare':
      return prepare(job);
    case 'freeze':
      return freezeLayer(job);
    case 'identify':
      return identifyTar(join(job.layer, 'fs'), formOf(job.layer)).diffId;
    case 'copy':
      return copyChain(new DirectoryChain(job.layers), job.target, job);
    case 'diff':
      return diffInto(new DirectoryChain(job.layers).tree, job);
    case 'measure':
      return diskUsage(job.path);
    case 'settle':
      settle(job);
      return undefined;
    case 'remove':
      for (const path of job.paths) rmSync(path, { recursive: true, force: true });
      return undefined;
    case 'apply':
    case 'unpack':
    case 'tar':
      throw new TypeError(`${job.kind} is a stream`);
    default:
      return job satisfies never;
  }
}

function prepare({ layers, directory, owners }: JobOf<'prepare'>): undefined {
  const root = new DirectoryChain(layers).tree.lookup('')?.entry ?? implicitDirectory('');
  mkdirSync(join(directory, 'work'));
  mkdirSync(join(directory, 'upper'));
  // A mounted root shows the attributes of the upper directory.
  finishDirectory(join(directory, 'upper'), root, owners);
}

function freezeLayer({ upper, layers, exclude, mtimeRule, owners }: JobOf<'freeze'>): JobOutput<'freeze'> {
  const { implicit, fresh } = freeze(upper, new DirectoryChain(layers), { exclude, mtimeRule, owners });
  const unsettled = { directories: fresh, settle: (file: FoundFile) => settleFresh(file, mtimeRule) };
  const { diffId, tarSize } = identifyTar(upper, { implicit: new Set(implicit), owners, unsettled });
  const fixed = { kind: 'frozen', opaqueRoot: false, links: [], skipped: [] } as const;
  const meta: LayerMeta = { ...fixed, implicit, tarSize, ...(owners === 'recorded' ? { owners } : {}) };
  return { diffId, meta };
}

/** As du counts: a file with several names once. */
function diskUsage(root: string): number {
  const seen = new Set<string>();
  const pending = [root];
  let blocks = 0;
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stats = lstatSync(path);
    const key = `${stats.dev}:${stats.ino}`;
    if (stats.nlink === 1 || !seen.has(key)) blocks += stats.blocks;
    if (stats.isDirectory()) for (const name of readdirSync(path)) pending.push(`${path}/${name}`);
    else if (stats.nlink > 1) seen.add(key);
  }
  return blocks * 512;
}
