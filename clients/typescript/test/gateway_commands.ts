/** What `gateway_of_page.ts` asks of Node: the commands of the tests that run in Chromium. */

import type { BrowserCommand } from "vitest/node";
import { type Cuts, CuttingProxy, Gateway, newDatabase, python } from "./gateway.js";

const gateways = new Map<number, Gateway>();
const proxies = new Map<string, CuttingProxy>();

/** The functions by the names with which a page calls them. */
export const commands: { [name: string]: BrowserCommand<never[]> } = {
  python: (_, program: string, input: string) => python(program, input),
  async startGateway(_, options: string[]) {
    const gateway = await Gateway.start(...options);
    gateways.set(gateway.port, gateway);
    return gateway.port;
  },
  stopGateway: (_, port: number) => gateways.get(port)?.stop(),
  newDatabase: () => newDatabase(),
  async startProxy(_, port: number, plan: number | Cuts) {
    const proxy = await CuttingProxy.start(port, plan);
    proxies.set(proxy.url, proxy);
    return proxy.url;
  },
  proxyCounts: (_, url: string) => proxies.get(url)?.counts(),
  stopProxy: (_, url: string) => proxies.get(url)?.stop(),
};

// A page that crashes stops nothing; what it started ends with this process.
process.once("exit", () => {
  for (const gateway of gateways.values()) gateway.process.kill("SIGKILL");
});
