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
    for (const character of text) {
      if (!isSpace(character)) this.addQuoted(character);
      else this.#endWord();
    }
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
