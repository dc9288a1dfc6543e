/** Markdown, cut into blocks that are parsed one by one: while a text grows, only its last block changes. */

/** A code block whose fence has not been closed yet. */
export interface OpenFence {
  /** What comes before it in the same block, as for a list. */
  readonly before: string;
  readonly language: string;
  readonly code: string;
}

const FENCE = /^\s*(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;
/** A definition of a link or of a footnote is meant for all blocks. */
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:/m;

/** Return the blocks of a text; joined they are the text. A text with definitions stays whole. */
export function blocksOf(text: string): string[] {
  if (DEFINITION.test(text)) return [text];
  const blocks: string[] = [];
  let block = "";
  let isBehindBlank = false;
  let fence: string | undefined;
  for (const line of text.split(/(?<=\n)/)) {
    if (fence !== undefined) {
      block += line;
      if (closes(line, fence)) fence = undefined;
      continue;
    }
    if (!line.trim()) {
      isBehindBlank = true;
      block += line;
      continue;
    }
    if (isBehindBlank && block.trim() && !isContinued(block, line)) {
      blocks.push(block);
      block = "";
    }
    isBehindBlank = false;
    block += line;
    fence = FENCE.exec(line)?.[1];
  }
  if (block) blocks.push(block);
  return blocks;
}

/** Tell whether a line behind a blank one belongs to the block before: it is indented, or the next item of a list. */
function isContinued(block: string, line: string): boolean {
  return /^(?: {2,}|\t)/.test(line) || (ITEM.test(block.replace(/^\n+/, "")) && ITEM.test(line));
}

function closes(line: string, fence: string): boolean {
  const closing = /^\s*(`{3,}|~{3,})\s*$/.exec(line)?.[1];
  return closing !== undefined && closing[0] === fence[0] && closing.length >= fence.length;
}

/** Return the code block that a block ends in, if its fence is still open: it needs no parsing. */
export function openFenceOf(block: string): OpenFence | undefined {
  let open: { start: number; behind: number; fence: string; language: string } | undefined;
  let at = 0;
  for (const line of block.split(/(?<=\n)/)) {
    if (open) {
      if (closes(line, open.fence)) open = undefined;
    } else {
      const [, fence, language = ""] = FENCE.exec(line.replace(/\n$/, "")) ?? [];
      // An indented fence belongs to a list: its code is cut out by the parser.
      if (fence && !/^\s/.test(line)) open = { start: at, behind: at + line.length, fence, language };
    }
    at += line.length;
  }
  if (!open) return undefined;
  return { before: block.slice(0, open.start), language: open.language, code: block.slice(open.behind) };
}

/** Return the address if a click on it is safe: a web page or a mail. */
export function safeUrl(url: unknown): string | undefined {
  if (typeof url !== "string") return undefined;
  // Browsers drop these characters within a scheme.
  const plain = url.replace(/[\0-\x20]/g, "");
  return /^(?:https?:\/\/|mailto:)/i.test(plain) ? url.trim() : undefined;
}
