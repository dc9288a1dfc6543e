/**
 * Opens a page of a hundred runs in Chromium and says what it costs.
 *
 * All times are of the page's main thread, from a trace, and in CPU time: a busy machine takes turns away from the
 * page, and adds no work to it. A frame is what runs from the end of one frame's scripts to the end of the next's.
 */

import type { Browser, Page } from "playwright";
import { bundle, PACKAGE, Site } from "../chromium.js";

const RUNS = 100;
const RATE = 50;
const STYLE = `body { margin: 0; display: grid; grid-template-columns: repeat(10, 1fr); gap: 4px; font: 10px/1.3 sans-serif }
  section { height: 90px; overflow: hidden; contain: strict; background: #eee }`;

/** What a page costs. */
export interface Cost {
  /** Words that it showed in a second; `RUNS * RATE` if the server keeps the pace. */
  wordsPerS: number;
  /** Of how many runs it has shown anything. */
  runsShown: number;
  sockets: number;
  /** Requests under way at the end: streams over HTTP, and what waits for a connection. */
  requests: number;
  framesPerS: number;
  /** CPU time of the main thread: scripting, style, layout and garbage collection, without painting. */
  frameMsMean: number;
  frameMsP95: number;
  /** Its CPU time for painting. */
  paintMsMean: number;
  /** All of it, of the words that come in a sixtieth of a second: a machine that draws fewer frames has more in each. */
  shareMs: number;
  /** The longest task, and how many took more than 50 ms. */
  taskMs: number;
  longTasks: number;
  /** Megabytes of JavaScript's heap after a collection, at the end. */
  heapMb: number;
  errors: string[];
}

export interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  tdur?: number;
  args?: { name?: string };
}

/** A page of a hundred runs: `entry` is a file of this folder. */
export class Hundred {
  #sockets = 0;
  #requests = 0;
  private constructor(
    readonly page: Page,
    readonly site: Site,
  ) {}

  /** Open it. If it is `paced`, each frame gets the words of a sixtieth of a second, whenever it is drawn. */
  static async open(browser: Browser, entry: string, server: string, isPaced = false): Promise<Hundred> {
    const html = `<!doctype html><title>a hundred runs</title><style>${STYLE}</style><body></body>
      <script type="module" src="/page.js"></script>`;
    const pages = { "/": html, "/page.js": bundle(`test/hundred/${entry}`), "/favicon.ico": "" };
    const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
    const hundred = new Hundred(page, await Site.serve(PACKAGE, pages));
    page.on("websocket", () => {
      hundred.#sockets += 1;
    });
    page.on("request", () => {
      hundred.#requests += 1;
    });
    for (const end of ["requestfinished", "requestfailed"] as const)
      page.on(end as "requestfinished", () => {
        hundred.#requests -= 1;
      });
    const pace = isPaced ? "&paced" : "";
    await page.goto(hundred.site.url(`/?server=${encodeURIComponent(server)}${pace}`));
    return hundred;
  }

  /** Wait until so many runs have shown something. */
  async shows(runs: number, timeout = 120_000): Promise<void> {
    const isThere = (runs: number) =>
      window.shown.errors.length > 0 || window.shown.chars.filter((chars) => chars > 0).length >= runs;
    await this.page.waitForFunction(isThere, runs, { timeout });
  }

  /** Wait until so many runs have ended, in whose place others have started. */
  async ends(runs: number): Promise<void> {
    const isThere = (runs: number) => window.shown.errors.length > 0 || window.shown.ended >= runs;
    await this.page.waitForFunction(isThere, runs, { timeout: 120_000 });
  }

  /** Return the megabytes of the heap after a collection. */
  async heapMb(): Promise<number> {
    const devtools = await this.page.context().newCDPSession(this.page);
    await devtools.send("HeapProfiler.collectGarbage");
    const { usedSize } = await devtools.send("Runtime.getHeapUsage");
    await devtools.detach();
    return usedSize / 1e6;
  }

  /** Trace the page for some seconds. */
  async measure(seconds: number): Promise<Cost> {
    const { page } = this;
    const browser = page.context().browser()!;
    const chars = () => page.evaluate(() => window.shown.chars.reduce((sum, each) => sum + each, 0));
    const categories = ["devtools.timeline", "disabled-by-default-devtools.timeline", "__metadata"];
    await browser.startTracing(page, { categories });
    const before = await chars();
    const since = performance.now();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const words = ((await chars()) - before) / 6;
    const elapsed = (performance.now() - since) / 1000;
    const { traceEvents } = JSON.parse(String(await browser.stopTracing())) as { traceEvents: TraceEvent[] };
    const { errors, runsShown } = await page.evaluate(() => ({
      errors: window.shown.errors,
      runsShown: window.shown.chars.filter((chars) => chars > 0).length,
    }));
    const { msPerS, ...cost } = costOf(traceEvents);
    return {
      ...cost,
      shareMs: ((msPerS / (words / elapsed)) * RUNS * RATE) / 60,
      wordsPerS: words / elapsed,
      runsShown,
      sockets: this.#sockets,
      requests: this.#requests,
      heapMb: await this.heapMb(),
      errors,
    };
  }

  async close(): Promise<void> {
    await this.page.close();
    this.site.stop();
  }
}

/** What painting is made of, within tasks. */
const PAINTING = ["PrePaint", "Paint", "Layerize", "Commit"];

/** Return what the tasks of the page cost: of the main thread that drew most frames. */
export function costOf(events: TraceEvent[]) {
  const threads = new Map<string, { frames: number[]; tasks: TraceEvent[]; paints: TraceEvent[] }>();
  for (const event of events) {
    const key = `${event.pid} ${event.tid}`;
    const thread = threads.get(key) ?? { frames: [], tasks: [], paints: [] };
    threads.set(key, thread);
    if (event.name === "AnimationFrame::StyleAndLayout" && event.ph === "b") thread.frames.push(event.ts);
    if (event.name === "RunTask" && event.ph === "X") thread.tasks.push(event);
    if (PAINTING.includes(event.name) && event.ph === "X") thread.paints.push(event);
  }
  const { frames, tasks, paints } = [...threads.values()].sort(
    (a, b) => b.frames.length - a.frames.length,
  )[0]!;
  if (frames.length < 10) throw new Error(`${frames.length} frames in the trace`);
  const starts = frames.sort((a, b) => a - b);
  const msOf = ({ tdur, dur }: TraceEvent) => (tdur ?? dur ?? 0) / 1000;
  const perFrame = (events: TraceEvent[]) => {
    const costs = new Array<number>(starts.length - 1).fill(0);
    let frame = 0;
    for (const event of events.sort((a, b) => a.ts - b.ts)) {
      const end = event.ts + (event.dur ?? 0); // the task that begins a frame has started before it
      while (frame < costs.length && end >= starts[frame + 1]!) frame += 1;
      if (frame < costs.length && end >= starts[frame]!) costs[frame]! += msOf(event);
    }
    return costs;
  };
  const whole = perFrame(tasks);
  const painting = perFrame(paints);
  const costs = whole.map((ms, frame) => Math.max(0, ms - painting[frame]!));
  const seconds = (starts.at(-1)! - starts[0]!) / 1e6;
  const sorted = [...costs].sort((a, b) => a - b);
  const mean = (costs: number[]) => costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
  const within = tasks.map(msOf);
  return {
    framesPerS: costs.length / seconds,
    frameMsMean: mean(costs),
    frameMsP95: sorted[Math.floor(sorted.length * 0.95)]!,
    paintMsMean: mean(painting),
    taskMs: Math.max(...within),
    longTasks: within.filter((ms) => ms > 50).length,
    msPerS: (mean(whole) * whole.length) / seconds,
  };
}
