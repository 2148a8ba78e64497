import type { Containers } from './container-store.ts';
import { statusOf } from './record.ts';

/** Removes the records of `--rm` containers whose monitor was killed before it could. */
export async function sweepTransient(containers: Containers): Promise<void> {
  for (const record of await containers.list()) {
    if (record.isTransient && statusOf(record) === 'lost') containers.remove(record.id);
  }
}
