/** What pages show and what their sockets carry, for the report of a test that failed. */

import type { BrowserContext, Page } from "playwright";

const FRAMES = 16;
const FRAME_CHARACTERS = 400;
const PAGE_CHARACTERS = 6000;
/** How long a page that does not answer is asked what it shows, in milliseconds. */
const PATIENCE_MS = 3000;

interface Seen {
  readonly page: Page;
  readonly frames: string[];
  /** What it showed when it was closed. */
  last?: string;
}

let seen: Seen[] = [];
let isWanted = () => false;

/** Begin anew. `wanted` tells whether what a page shows is to be kept when it closes: it takes time. */
export function forgetPages(wanted: () => boolean): void {
  seen = seen.filter(({ page }) => !page.isClosed());
  isWanted = wanted;
}

/** Remember what the pages of a context do from now on. */
export function watchPages(context: BrowserContext): void {
  context.on("page", (page) => {
    const one: Seen = { page, frames: [] };
    seen.push(one);
    const keep = (mark: string, payload: string | Buffer) => {
      if (one.frames.push(`${mark} ${payload.slice(0, FRAME_CHARACTERS)}`) > FRAMES) one.frames.shift();
    };
    page.on("websocket", (socket) => {
      keep("open ", socket.url());
      socket.on("framesent", ({ payload }) => keep("sent ", payload));
      socket.on("framereceived", ({ payload }) => keep("got  ", payload));
      socket.on("close", () => keep("close", socket.url()));
    });
  });
  const close = context.close.bind(context);
  context.close = async (options) => {
    if (isWanted())
      for (const one of seen) if (one.page.context() === context) one.last ??= await shown(one.page);
    await close(options);
  };
}

/** Return what each page shows now, or showed last, and the last frames of its sockets. */
export async function reportOfPages(): Promise<string> {
  const parts = seen.map(async ({ page, frames, last }) => {
    const text = last ?? (await shown(page));
    return [`── ${page.url()} shows`, text, `── its last ${frames.length} frames`, ...frames].join("\n");
  });
  return (await Promise.all(parts)).join("\n");
}

async function shown(page: Page): Promise<string> {
  try {
    // biome-ignore lint/performance/useDomNodeTextContent: the report shows lines, as a person sees them
    const text = await page.locator("body").innerText({ timeout: PATIENCE_MS });
    return text.replace(/\n{2,}/g, "\n").slice(0, PAGE_CHARACTERS);
  } catch (error) {
    return `(${(error as Error).message.split("\n", 1)[0]})`;
  }
}
