import { isSpace } from './located-text.ts';

/** Collects expanded text as words: blanks split where they come unquoted, from the text or from a variable. */
export class WordCollector {
  readonly #words: string[] = [];
  #word = '';
  #inWord = false;

  /** Text that is never split: quoted or escaped. Even empty, it makes a word. */
  addQuoted(text: string): void {
    this.#word += text;
    this.#inWord = true;
  }

  addUnquoted(text: string): void {
    let from = 0;
    for (let at = 0; at < text.length; at += 1) {
      if (!isSpace(text[at])) continue;
      if (at > from) this.addQuoted(text.slice(from, at));
      this.#endWord();
      from = at + 1;
    }
    if (from < text.length) this.addQuoted(text.slice(from));
  }

  finish(): string[] {
    this.#endWord();
    return this.#words;
  }

  #endWord(): void {
    if (this.#inWord) this.#words.push(this.#word);
    this.#word = '';
    this.#inWord = false;
  }
}
