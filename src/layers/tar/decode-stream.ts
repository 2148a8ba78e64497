import type { ByteStream } from '../../oci/index.ts';
import { TarDecoder, zerosOf } from './decoder.ts';
import type { TarEntry } from './entry.ts';

/** An entry and its bytes; only files have any. */
export interface DecodedMember {
  readonly entry: TarEntry;
  /** Can be read once, and only until the next member is asked for; what is left unread is skipped. */
  readonly body: ByteStream;
}

type Event = { readonly entry: TarEntry } | { readonly data: Uint8Array } | { readonly hole: number };

/** Turns pushes into pulls: holds the events of one input chunk. */
class Events {
  readonly #input: AsyncIterator<Uint8Array>;
  readonly #decoder: TarDecoder;
  #queue: Event[] = [];
  #next = 0;
  #isEnded = false;

  constructor(bytes: ByteStream) {
    this.#input = bytes[Symbol.asyncIterator]();
    const add = (event: Event) => void this.#queue.push(event);
    this.#decoder = new TarDecoder({
      entry: (entry) => add({ entry }),
      data: (data) => add({ data }),
      hole: (hole) => add({ hole }),
      end: () => undefined,
    });
  }

  /** The next event without taking it; undefined at the end. */
  async peek(): Promise<Event | undefined> {
    while (this.#next === this.#queue.length) {
      if (this.#isEnded) return undefined;
      this.#queue = [];
      this.#next = 0;
      const { done, value } = await this.#input.next();
      if (done) {
        this.#isEnded = true;
        this.#decoder.finish();
      } else this.#decoder.push(value);
    }
    return this.#queue[this.#next];
  }

  take(): void {
    this.#next++;
  }

  async close(): Promise<void> {
    if (!this.#isEnded) await this.#input.return?.();
  }
}

async function* bodyOf(events: Events): ByteStream {
  for (let event = await events.peek(); event !== undefined && !('entry' in event); event = await events.peek()) {
    events.take();
    if ('data' in event) yield event.data;
    else yield* zerosOf(event.hole);
  }
}

/** `TarDecoder` as a generator: reads `bytes` to its end, one chunk at a time, and closes it when left early. */
export async function* decodeTar(bytes: ByteStream): AsyncGenerator<DecodedMember, void, undefined> {
  const events = new Events(bytes);
  try {
    for (let event = await events.peek(); event !== undefined; event = await events.peek()) {
      events.take();
      if ('entry' in event) yield { entry: event.entry, body: bodyOf(events) };
    }
  } finally {
    await events.close();
  }
}
