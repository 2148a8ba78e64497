import { realpathSync } from 'node:fs';
import { delegate, type Workspace, withWorkspace } from '../assembly.ts';
import type { VolumeSpec } from '../build-options.ts';
import { volumeMount } from '../build-sandbox.ts';
import { BuildError } from '../errors.ts';
import { isInsideNamespace, type ProcessMount } from '../executor/index.ts';
import { pullImage } from '../images.ts';
import { formatPlatform, hostPlatform, type Image } from '../oci/index.ts';
import { chooseNamespace } from '../rung.ts';
import { listenOn } from './listen.ts';
import { holdContainer } from './monitor.ts';
import { checkName } from './names.ts';
import type { ProgramResult, RunOptions } from './options.ts';
import { programOf } from './program.ts';
import { FORWARDED_SIGNALS } from './streams.ts';

/** What the outer run has found out, for the one inside the namespace. */
export const HAND_OVER = 'TSBUILD_RUN';

/**
 * Runs an image in a container. Outside of the namespace: finds or pulls the image, takes the ports, and runs the command
 * again inside, which holds the container (`holdContainer`). Throws `E_USAGE`, `E_PORT`, `E_CONTAINER` and what pulling does.
 */
export async function runContainer(options: RunOptions): Promise<ProgramResult> {
  if (options.name !== undefined) checkName(options.name);
  checkTerminal(options);
  if (options.publish.length > 0 && options.network === 'host') {
    throw new BuildError('E_USAGE', 'Cannot publish ports of a container that has the network of this machine', {
      hint: 'Leave -p out: its ports are those of this machine; or leave --network host out',
    });
  }
  const mounts = options.volumes.map(mountOf);
  if (isInsideNamespace(options.self.env))
    return holdContainer(options, { mounts, handOver: options.env[HAND_OVER] ?? '' });
  return withWorkspace(options, async (workspace) => {
    const image = await imageOf(options, workspace);
    // for its errors: nothing has been made yet
    programOf(options.image, image.config.config ?? {}, { ...options, hostname: '' });
    const rung = await chooseNamespace(options);
    const { servers, ports } = await listenOn(options.publish);
    const release = options.streams.onSignal(() => {}); // they are forwarded
    try {
      if (options.signal.aborted) throw new BuildError('E_CANCELLED', 'Cancelled before the container was made');
      return await delegate(options, {
        env: { [HAND_OVER]: JSON.stringify({ manifest: image.descriptor.digest, ports }) },
        rung,
        handed: servers,
        isBackground: options.isDetached,
        signals: [...FORWARDED_SIGNALS, 'SIGWINCH'],
      });
    } finally {
      release();
      for (const server of servers) server.close();
    }
  });
}

function checkTerminal({ isDetached, hasTerminal, hasInput, streams }: RunOptions): void {
  if (isDetached || !hasTerminal || !hasInput || streams.terminal !== undefined) return;
  throw new BuildError('E_USAGE', 'Cannot connect the container with a terminal: standard input is none', {
    hint: 'Leave -t out',
  });
}

async function imageOf(options: RunOptions, workspace: Workspace): Promise<Image> {
  try {
    return await workspace.store.images.find(options.image, hostPlatform());
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    if (error.code === 'E_NO_PLATFORM') throw forOthersOnly(options.image, error);
    if (error.code !== 'E_NO_IMAGE') throw error;
  }
  return pullImage(options.image, hostPlatform(), { workspace, session: options });
}

const forOthersOnly = (image: string, cause: BuildError): BuildError =>
  new BuildError('E_NO_PLATFORM', `Cannot run "${image}": it has no image for ${formatPlatform(hostPlatform())}`, {
    hint: 'Build it for this platform too, or run one of its images by the ID that "tsbuild inspect" tells',
    cause,
  });

/** Links are followed: the path is the user's own. */
function mountOf(volume: VolumeSpec): ProcessMount {
  const mount = volumeMount(volume); // throws where nothing is
  return mount.kind === 'tree' ? volumeMount({ ...volume, source: realpathSync(volume.source) }) : mount;
}
