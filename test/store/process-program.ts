import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseLocalName } from '../../src/oci/index.ts';
import { openStore } from '../../src/store/index.ts';
import { collect, decompress, sampleImage, streamOf } from '../support/sample-images.ts';

/** Another process on the same store, for processes.test.ts. */
const [task = '', root = '', argument = ''] = process.argv.slice(2);
const store = openStore(root, () => ({ decompress }));
const say = (text: string): boolean => process.stdout.write(`${text}\n`);

const tasks: Readonly<Record<string, () => Promise<unknown>>> = {
  /** Ingests half of a blob, says so, and waits to be killed. */
  async half() {
    async function* slowly() {
      yield Buffer.alloc(100_000, 'x');
      say('half');
      await sleep(60_000);
    }
    await store.withLease(() => store.blobs.ingest(slowly()));
  },
  async ingest() {
    const payload = Buffer.alloc(3_000_000, 'same bytes for all');
    for (let i = 0; i < 5; i++) {
      const { digest, size } = await store.blobs.ingest(streamOf(payload, argument === 'twice' ? payload : ''));
      await collect(store.blobs.open({ digest, size }));
    }
  },
  /** Writes images under one name, each complete as long as the lease lasts. */
  async tag() {
    await store.withLease(async () => {
      for (let i = 0; i < 10; i++) {
        await store.images.write(await sampleImage({ env: [`${argument}=${i}`] }), parseLocalName('app'));
        const image = await store.images.find('app');
        for (const layer of image.layers) await collect(layer.uncompressed());
      }
    });
  },
  async prune() {
    for (let i = 0; i < 20; i++) {
      await store.prune({ all: true });
      await sleep(5);
    }
  },
  /** Holds a lease until standard input ends. */
  async hold() {
    await store.withLease(async () => {
      say('held');
      await once(process.stdin.resume(), 'end');
    });
  },
};

await tasks[task]?.();
say('done');
