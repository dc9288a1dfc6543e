/**
 * `npm run bench:page`: measure the pages of a hundred runs, and print a table.
 *
 * SECONDS says for how long each is traced (20), PAGES which ones (core.ts,hooks.tsx). With PACED=1 each frame gets the
 * words of a sixtieth of a second, whenever it is drawn. With MINUTES each runs on for so long, and its heap is printed
 * every minute. PAGES=langchain.tsx is the page with LangChain's own hook over SSE, before LangChain's own server: LANGGRAPH
 * names its command, that of `pip install "langgraph-cli[inmem]"`. It speaks HTTP/1.1, of which a browser holds six
 * connections to a host; with HTTP2=1 a proxy speaks HTTP/2 before it.
 */

import { loadavg } from "node:os";
import { launch } from "../chromium.js";
import { Gateway } from "../gateway.js";
import { Http2Proxy } from "./http2_proxy.js";
import { LangGraphDev } from "./langgraph_dev.js";
import { type Cost, Hundred } from "./measure.js";

const { SECONDS = "20", MINUTES = "0", PAGES = "core.ts,hooks.tsx" } = process.env;
const { LANGGRAPH = "langgraph", HTTP2, PACED } = process.env;

const rival = PAGES.includes("langchain") ? await LangGraphDev.start(LANGGRAPH) : undefined;
const proxy = rival && HTTP2 ? await Http2Proxy.start(rival.url) : undefined;
const gateway = await Gateway.start("tokens=./hundred/tokens.py:tokens", "--port", "0");
const browser = await launch("--ignore-certificate-errors"); // the proxy's
const rows: { [page: string]: Cost } = {};
try {
  for (const entry of PAGES.split(",")) {
    const server = entry.startsWith("langchain") && rival ? (proxy ?? rival).url : gateway.url;
    const hundred = await Hundred.open(browser, entry, server, Boolean(PACED));
    await hundred
      .shows(100, 30_000)
      .catch(() => console.log(`${entry}: after 30 seconds not all runs have shown anything`));
    rows[entry] = await hundred.measure(Number(SECONDS));
    for (let minute = 0; minute < Number(MINUTES); minute += 1) {
      console.log(`${entry}: ${(await hundred.heapMb()).toFixed(1)} MB after ${minute} minutes`);
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    }
    if (Number(MINUTES)) console.log(`${entry}: ${(await hundred.heapMb()).toFixed(1)} MB at the end`);
    await hundred.close();
  }
} finally {
  await browser.close();
  await gateway.stop();
  proxy?.stop();
  rival?.stop();
}
console.table(
  Object.fromEntries(
    Object.entries(rows).map(([page, { errors, ...numbers }]) => [
      page,
      Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Math.round(value * 10) / 10])),
    ]),
  ),
);
console.log(
  "errors:",
  Object.values(rows).flatMap(({ errors }) => errors),
);
console.log(`load ${loadavg().map((load) => load.toFixed(1))}`);
