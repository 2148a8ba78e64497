import { type BaseImage, imageKey, type LowerOptions, lower, requiredImages } from '../../../src/graph/index.ts';
import type { ContainerConfig, ImageConfig, Platform } from '../../../src/oci/index.ts';
import { parseContainerfile } from '../../../src/parser/index.ts';

const AMD64: Platform = { os: 'linux', architecture: 'amd64' };

export const OPTIONS: LowerOptions = {
  buildArgs: {},
  labels: {},
  platform: AMD64,
  buildPlatform: AMD64,
  network: 'default',
  contexts: new Map(),
};

const image = (config: ContainerConfig): ImageConfig => ({
  ...AMD64,
  created: '2024-01-01T00:00:00Z',
  config,
  rootfs: { type: 'layers', diff_ids: [] },
  history: [{ created_by: 'base layer' }, { created_by: 'CMD ["sh"]', empty_layer: true }],
});

const FULL: ContainerConfig = {
  Env: ['PATH=/bin', 'BASE=yes'],
  Cmd: ['sh'],
  Entrypoint: ['/init'],
  Labels: { from: 'base' },
  WorkingDir: '/srv',
};

/** What the made-up registry of these tests holds; any other name has an empty config. */
const CONFIGS: Readonly<Record<string, ContainerConfig>> = {
  base: FULL,
  bare: { Env: ['ONLY=this'] },
  'onbuild-stage': { ...FULL, OnBuild: ['COPY --from=extra /x /x', 'ENV TRIGGERED=1'] },
  onbuild: { ...FULL, OnBuild: ['ARG MODE=dev', 'COPY --from=extra:1 /x /x', 'RUN build $MODE'] },
};

export const parse = (text: string) => parseContainerfile({ name: 'Containerfile', text });

/** Every image that the file needs, in as many rounds as that takes. */
export function resolveAll(text: string, options: LowerOptions): Map<string, BaseImage> {
  const file = parse(text);
  const images = new Map<string, BaseImage>();
  for (let round = requiredImages(file, options, images); round.length > 0; ) {
    for (const { name, platform } of round) {
      const config = image(CONFIGS[name.split(/[:@]/)[0] ?? ''] ?? {});
      images.set(imageKey(name, platform), { reference: `test/${name}`, digest: `sha256:${'0'.repeat(64)}`, config });
    }
    round = requiredImages(file, options, images);
  }
  return images;
}

export function lowered(text: string, changes: Partial<LowerOptions> = {}) {
  const options = { ...OPTIONS, ...changes };
  return lower(parse(text), options, resolveAll(text, options));
}
