/**
 * `Markdown`: a text of a model or a person, as it is meant to look.
 *
 * The parser is loaded when the first text needs it; until then, and for large texts, the text is shown plain. Raw HTML
 * is shown as text, images are links, and a link opens a web page or a mail and nothing else. A text that grows is
 * parsed a block at a time: only the last block changes.
 */

import { lazy, memo, Suspense, useDeferredValue, useMemo, useState } from "react";
import { blocksOf, openFenceOf } from "./markdown_split";
import { withMarks } from "./marks";
import "./markdown.css";

/** A text that is longer is shown plain. */
export const PLAIN_ABOVE = 40_000;
/** So much of a longer text is shown until a reader asks for all. */
export const CUT_AT = 10_000;
/** So many blocks are there at once; the others follow while the page stays responsive. */
const FIRST_BLOCKS = 12;

const Parsed = lazy(() => import("./markdown_block"));

export interface MarkdownProps {
  text: string;
  /** Whether the text still grows. */
  isLive?: boolean | undefined;
}

/** Show a text as Markdown. */
export const Markdown = memo(function Markdown({ text, isLive = false }: MarkdownProps) {
  if (text.length > PLAIN_ABOVE) return <Plain text={text} isLive={isLive} />;
  return <Blocks text={text} isLive={isLive} />;
});

function Blocks({ text, isLive }: { text: string; isLive: boolean }) {
  const blocks = useMemo(() => blocksOf(withMarks(text)), [text]);
  const shown = useDeferredValue(blocks, blocks.slice(0, FIRST_BLOCKS));
  return (
    <div className={isLive ? "markdown markdown-live" : "markdown"}>
      {shown.map((block, index) => (
        <Block key={index} text={block} isOpen={isLive && index === shown.length - 1} />
      ))}
    </div>
  );
}

const Block = memo(function Block({ text, isOpen }: { text: string; isOpen: boolean }) {
  const fence = isOpen ? openFenceOf(text) : undefined;
  const parsed = fence ? fence.before : text;
  return (
    <>
      {parsed.trim() && (
        <Suspense fallback={<p className="markdown-plain">{parsed.trim()}</p>}>
          <Parsed text={parsed} />
        </Suspense>
      )}
      {fence && (
        <pre className="markdown-code">
          <code>{fence.code}</code>
        </pre>
      )}
    </>
  );
});

/** Show a text as it is, and no more than its beginning at first; while it grows, its end. */
export function Plain({ text, isLive = false }: MarkdownProps) {
  const [isWhole, setWhole] = useState(false);
  const isCut = !isWhole && text.length > CUT_AT;
  const size = text.length.toLocaleString("en");
  const part = isCut ? (isLive ? text.slice(-CUT_AT) : text.slice(0, CUT_AT)) : text;
  const button = isCut && (
    <button type="button" className="markdown-more" onClick={() => setWhole(true)}>
      Show all {size} characters
    </button>
  );
  return (
    <div className="markdown-plain">
      {isLive && button}
      {isCut && isLive && "…"}
      {withMarks(part)}
      {isCut && !isLive && "…"}
      {!isLive && button}
    </div>
  );
}
