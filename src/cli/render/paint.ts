/** Colours by meaning; without colour each returns its text. */
export interface Paint {
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly success: (text: string) => string;
  readonly faint: (text: string) => string;
  readonly strong: (text: string) => string;
}

const same = (text: string): string => text;
const sgr = (on: number, off: number) => (text: string) => `\u001b[${on}m${text}\u001b[${off}m`;

const COLOURED: Paint = {
  error: sgr(31, 39),
  warning: sgr(33, 39),
  success: sgr(32, 39),
  faint: sgr(2, 22),
  strong: sgr(1, 22),
};

export const PLAIN_PAINT: Paint = { error: same, warning: same, success: same, faint: same, strong: same };

export const createPaint = (hasColour: boolean): Paint => (hasColour ? COLOURED : PLAIN_PAINT);
