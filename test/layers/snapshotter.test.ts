import { describe, expect, it } from 'vitest';
import { DirectorySnapshotter, OverlaySnapshotter } from '../../src/layers/index.ts';
import { snapshotterContract } from '../contract/snapshotter.ts';
import { canMountOverlay } from './support.ts';

if (canMountOverlay()) {
  snapshotterContract('overlay', (directories, index) => new OverlaySnapshotter(directories, index));
  snapshotterContract('directory', (directories, index) => new DirectorySnapshotter(directories, index));
} else {
  describe('snapshotters', () => {
    it('need root and overlay mounts, which are missing here', () => expect(process.env.CI).not.toBe('true'));
  });
}
