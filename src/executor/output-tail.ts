/** As many lines of a failing step are repeated below its error (users-ask.md, section d). */
const MAX_LINES = 20;
const MAX_LINE_BYTES = 4096;

/** Remembers the last lines of a step's output, whatever its length. */
export class OutputTail {
  #lines: string[] = [];
  #rest = Buffer.alloc(0);

  add(chunk: Uint8Array): void {
    let data = Buffer.concat([this.#rest, chunk]);
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10)) {
      this.#push(data.subarray(0, end));
      data = data.subarray(end + 1);
    }
    this.#rest = Buffer.from(data.subarray(0, MAX_LINE_BYTES));
  }

  #push(line: Uint8Array): void {
    this.#lines.push(Buffer.from(line.subarray(0, MAX_LINE_BYTES)).toString('utf8').replace(/\r$/, ''));
    if (this.#lines.length > MAX_LINES) this.#lines.shift();
  }

  lines(): string[] {
    const rest = this.#rest.toString('utf8');
    return (rest === '' ? this.#lines : [...this.#lines, rest]).slice(-MAX_LINES);
  }
}
