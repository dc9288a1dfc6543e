/**
 * A WebSocket that gives the page, at each frame, what comes in a sixtieth of a second.
 *
 * A machine whose processors are shared draws ten frames a second, each with the words of a tenth. What a page costs on a
 * machine that draws sixty is measured by handing it out so: the socket itself is in a worker, which holds what came too
 * early. A server that does not keep the pace is behind only in time.
 */

import { RATE, RUNS } from "./grid.js";

const EVENTS_A_FRAME = Math.ceil((RUNS * RATE) / 60);

/** What runs in the worker: `{ open }`, `{ send }`, `{ close }`, and `{ want }` so many events. */
function work(): void {
  let socket: WebSocket;
  let wanted = 0;
  let held: string[] = []; // events, of which each is a frame of the protocol
  const post = (message: object) => (self as unknown as Worker).postMessage(message);
  const give = () => {
    if (!wanted || !held.length) return;
    const part = held.slice(0, wanted);
    held = held.slice(wanted);
    wanted -= part.length;
    post({ data: part.length > 1 ? `[${part.join(",")}]` : part[0] });
  };
  self.onmessage = ({ data }) => {
    if (data.open) {
      socket = new WebSocket(...(data.open as [string, string[]]));
      socket.onopen = () => post({ opened: true });
      socket.onclose = ({ code, reason }) => post({ closed: { code, reason } });
      socket.onmessage = ({ data }) => {
        const frames: { type: string }[] = [JSON.parse(data)].flat();
        for (const frame of frames)
          if (frame.type === "event") held.push(JSON.stringify(frame));
          // Replies and the like come in their order, behind the events before them.
          else held.length ? held.push(JSON.stringify(frame)) : post({ data: JSON.stringify(frame) });
        give();
      };
    } else if (data.send) socket.send(data.send);
    else if (data.close) socket.close(data.close);
    else {
      wanted = data.want;
      give();
    }
  };
}

/** To be given to `connect()`. */
export class PacedSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readyState = 0;
  readonly #worker = new Worker(URL.createObjectURL(new Blob([`(${work})()`])));

  constructor(url: string, protocols: string[]) {
    this.#worker.postMessage({ open: [url, protocols] });
    this.#worker.onmessage = ({ data }) => {
      if (data.opened) {
        this.readyState = 1;
        this.onopen?.();
      } else if (data.closed) {
        this.readyState = 3;
        this.onclose?.(data.closed);
      } else this.onmessage?.(data);
    };
    const frame = () => {
      this.#worker.postMessage({ want: EVENTS_A_FRAME });
      if (this.readyState < 2) requestAnimationFrame(frame);
    };
    frame();
  }

  send(message: string): void {
    this.#worker.postMessage({ send: message });
  }

  close(code = 1000): void {
    this.#worker.postMessage({ close: code });
  }
}

/** Options of `connect()`: the page's address says `paced`, or the platform's socket is used. */
export const SOCKET = new URLSearchParams(location.search).has("paced") ? { webSocket: PacedSocket } : {};
