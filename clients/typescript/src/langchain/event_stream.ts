/** LangChain's events as they are sent, and one filtered stream of them. */

/** An event of LangChain's protocol. `seq` rises within a thread; `event_id` names the same event on every stream. */
export interface ProtocolEvent {
  type: "event";
  event_id: string;
  seq: number;
  method: string;
  params: { namespace: string[]; timestamp: number; node?: string | undefined; data: unknown };
}

/** Which events a stream wants. Without `namespaces` it wants all; `depth` counts from the end of a namespace. */
export interface Wanted {
  channels: readonly string[];
  namespaces?: readonly (readonly string[])[] | undefined;
  depth?: number | undefined;
}

/** Return whether a stream that wants `wanted` gets this event. */
export function isWanted({ method, params }: ProtocolEvent, wanted: Wanted): boolean {
  const { channels, namespaces, depth = Number.POSITIVE_INFINITY } = wanted;
  const { namespace, data } = params;
  const name = method === "custom" ? (data as { name?: string | undefined }).name : undefined;
  const channel = method === "input.requested" ? "input" : method;
  if (!channels.includes(channel) && !channels.includes(`custom:${name}`)) return false;
  if (!namespaces?.length) return true;
  return namespaces.some(
    (prefix) =>
      namespace.length - prefix.length <= depth &&
      prefix.every((part, at) => namespace[at] === part || nameOf(namespace[at]) === part),
  );
}

/** Return the name of a node without what tells its tasks apart. */
function nameOf(part: string | undefined): string | undefined {
  return part?.split(":", 1)[0];
}

/** A stream of events. Its queue holds what its reader has not taken: LangChain's hooks take at once. */
export class EventStream implements AsyncIterable<ProtocolEvent> {
  readonly #queue: ProtocolEvent[] = [];
  #wake: (() => void) | undefined;
  #end: { error?: unknown } | undefined;

  constructor(
    readonly wanted: Wanted,
    readonly onClose: (stream: EventStream) => void,
  ) {}

  put(event: ProtocolEvent): void {
    if (!isWanted(event, this.wanted)) return;
    this.#queue.push(event);
    this.#wake?.();
  }

  /** End the stream behind what is queued; with an error, its reader gets that. */
  end(end: { error?: unknown } = {}): void {
    this.#end ??= end;
    this.#wake?.();
  }

  close(): void {
    this.end();
    this.onClose(this);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ProtocolEvent, void, undefined> {
    for (;;) {
      const event = this.#queue.shift();
      if (event) yield event;
      else if (this.#end) {
        if ("error" in this.#end) throw this.#end.error;
        return;
      } else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
