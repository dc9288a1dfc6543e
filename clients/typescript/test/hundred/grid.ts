/** What every page of a hundred runs has: a grid of tiles, its settings, and the count of what it shows. */

declare global {
  interface Window {
    /** How many characters each tile has shown, and how many runs have ended. */
    shown: { chars: number[]; ended: number; errors: string[] };
  }
}

const query = new URLSearchParams(location.search);

/** Where the server is. */
export const SERVER = query.get("server") ?? "";
export const RUNS = Number(query.get("runs") ?? 100);
export const RATE = 50; // words a second
const WORDS = 1000; // of each run but the first of a tile

window.shown = { chars: Array(RUNS).fill(0), ended: 0, errors: [] };

/** How many words the run has that a tile shows as its `turn`-th: the first ones differ, so that not all end at once. */
export const wordsOf = (tile: number, turn: number) => (turn ? WORDS : 100 + ((tile * 37) % 100) * 9);

/** What a tile shows of a text, as a dashboard does. */
export const tail = (text: string) => text.slice(-300);

/** Count what tile `tile` shows: a text of `length` characters, of its `turn`-th run. */
export function count(tile: number, turn: number, length: number): void {
  let before = 0;
  for (let each = 0; each < turn; each += 1) before += wordsOf(tile, each) * 6;
  window.shown.chars[tile] = before + length;
}
