/**
 * Characters that nobody sees, made visible in texts of others.
 *
 * Controls of the writing direction can make a text read as something else, and characters without width can hide in
 * it. Each is shown as its number. What writing needs stays: joiners within emoji and between letters of scripts that
 * join, tabs and line breaks.
 */

const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|\u034f|[\u17b4\u17b5]|[\u180b-\u180d\u180f]|\udb40[\udc00-\udfff]/g;
const JOINERS = /[\u200c\u200d]/;
const JOINED =
  /(?:\ufe0f|[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Gujarati}\p{Script=Gurmukhi}\p{Script=Oriya}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Mongolian}])$/u;

/** Return the text with a mark, such as ⟦U+202E⟧, in the place of each character that would not be seen. */
export function withMarks(text: string): string {
  HIDDEN.lastIndex = 0;
  if (!HIDDEN.test(text)) return text;
  return text.replace(HIDDEN, (found, at: number) =>
    JOINERS.test(found) && JOINED.test(text.slice(Math.max(0, at - 2), at)) ? found : markOf(found),
  );
}

function markOf(found: string): string {
  const code = (found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `⟦U+${code}⟧`;
}
