/** What a file of tests started and has not stopped: `failure_report.ts` stops it when the file is over, also one that failed. */

type Stop = () => unknown;

const stops: Stop[] = [];

/** Have `stop` called when the file is over. It is called then even if it was called before. */
export function atEnd(stop: Stop): void {
  stops.push(stop);
}

/** Stop everything, the latest first; what cannot be stopped holds up no other. */
export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) {
    try {
      await stop();
    } catch (error) {
      console.warn("at the end of a file of tests:", error);
    }
  }
}
