/** A text that others wrote. What would reorder or hide it is shown as a mark, and it cannot disturb what is beside it. */

import { useState } from "react";
import { withMarks } from "./marks";
import "./text.css";

/** How many characters of a text are shown until all of it is asked for. */
export const SHOWN_CHARS = 4000;

const MARK = /(⟦U\+[0-9A-F]{4,6}⟧)/;

/** The text, on one line of a row or in a paragraph; a long one ends with how much is left out. */
export function Text({ children }: { children: string }) {
  const rest = children.length - SHOWN_CHARS;
  if (rest <= 0) return <Marked text={children} />;
  return (
    <>
      <Marked text={beginningOf(children)} />
      <span className="text-rest"> … {rest.toLocaleString("en")} more characters</span>
    </>
  );
}

/** The text as a block, with its line breaks; the rest of a long one is behind a button. */
export function LongText({ children }: { children: string }) {
  const [isWhole, setWhole] = useState(false);
  const isCut = !isWhole && children.length > SHOWN_CHARS;
  return (
    <div className="text-block">
      <Marked text={isCut ? beginningOf(children) : children} />
      {isCut && (
        <button type="button" className="link-button" onClick={() => setWhole(true)}>
          … show all {children.length.toLocaleString("en")} characters
        </button>
      )}
    </div>
  );
}

function Marked({ text }: { text: string }) {
  const marked = withMarks(text);
  if (marked === text) return <bdi>{text}</bdi>;
  return (
    <bdi>
      {marked.split(MARK).map((part, index) =>
        index % 2 ? (
          <span key={index} className="text-mark" title={`an invisible character: ${part.slice(1, -1)}`}>
            {part.slice(1, -1)}
          </span>
        ) : (
          part
        ),
      )}
    </bdi>
  );
}

/** The first characters, without half of one. */
function beginningOf(text: string): string {
  const end = /[\ud800-\udbff]/.test(text[SHOWN_CHARS - 1] ?? "") ? SHOWN_CHARS - 1 : SHOWN_CHARS;
  return text.slice(0, end);
}
