import type { Screen } from './renderer.ts';

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
/** Without wrapping, a line that is too long (wide characters) is cut by the terminal and the count of rows holds. */
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';
/** Each line is erased behind its end, not the area before it is drawn: no flicker, and nothing goes into a scroll-back. */
const ERASE_REST = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

/** The lines at the bottom of the terminal that are drawn again and again, below lines that stay. */
export class LiveArea {
  readonly #screen: Screen;
  readonly #size: () => ScreenSize;
  #height = 0;
  #hasDrawn = false;

  constructor(screen: Screen, size: () => ScreenSize) {
    this.#screen = screen;
    this.#size = size;
  }

  /** Puts `lasting` above the area for good and draws `lines` below; what does not fit is left out. */
  draw(lines: readonly string[], lasting: readonly string[] = []): void {
    const { columns, rows } = this.#size();
    const shown = lines.slice(0, Math.max(1, rows - 2)).map((line) => truncate(line, columns - 1));
    if (shown.length === 0 && lasting.length === 0 && this.#height === 0) return;
    const up = this.#height > 0 ? `\u001b[${this.#height}A\r` : '';
    const print = (text: readonly string[]): string => text.map((line) => `${line}${ERASE_REST}\n`).join('');
    const area = shown.length > 0 ? NO_WRAP + HIDE_CURSOR + print(shown) + WRAP : '';
    this.#screen.write(`${up}${print(lasting)}${area}${ERASE_BELOW}`);
    this.#height = shown.length;
    this.#hasDrawn ||= shown.length > 0;
  }

  close(): void {
    this.draw([]);
    if (this.#hasDrawn) this.#screen.write(SHOW_CURSOR + WRAP);
  }
}

function truncate(line: string, width: number): string {
  const characters = [...line];
  return characters.length <= width ? line : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
}
