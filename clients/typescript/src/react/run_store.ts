/**
 * `RunStore`: a run, or the runs of a thread one after the other, as hooks read them.
 *
 * One loop takes the events, outside React, so that credit returns however slowly or seldom a page renders; a page that
 * nobody looks at goes on receiving. A loop over a run ends at a question. This one takes each event with a loop of its
 * own, in the same subscription, and so goes on behind the question: somebody else may answer it.
 */

import { listen, RunFailed } from "../errors.js";
import type { Event, GapEvent, Status } from "../events.js";
import type { Message } from "../messages.js";
import type { Run } from "../run.js";
import { kept, Store, storeOf } from "./store.js";
import type {
  AnyClient,
  AnyEvent,
  RunStart,
  RunState,
  RunView,
  RunViewOptions,
  ThreadView,
  ThreadViewOptions,
} from "./view.js";

/** Where the events come from. */
interface Feed {
  readonly shown: {
    readonly messages: readonly Message[];
    readonly isCaughtUp: boolean;
    onCaughtUp(listener: () => void): () => void;
  };
  readonly run: () => Run | undefined;
  readonly next: () => Promise<IteratorResult<AnyEvent, undefined>>;
  readonly leave: () => unknown;
}

/** Opens the feed; there is none without a client. */
type Open = ((client: AnyClient) => Promise<Feed>) | undefined;

const NONE: readonly never[] = [];

/** The store of a run or of a thread; without a client it stays as it is. */
export class RunStore extends Store<RunState> {
  readonly #client: AnyClient | undefined;
  readonly #open: Open;
  readonly #listeners = new Set<(event: AnyEvent) => void>();
  #feed: Feed | undefined;
  #run: Run | undefined;
  /** Names the present loop. */
  #loop: object | undefined;
  #unlisten: (() => void) | undefined;
  #about: { error?: Error | undefined; reason?: string | undefined; healed?: GapEvent | undefined } = {};
  readonly #latest: { [mode: string]: AnyEvent } = {};
  /** How the run is started, if it has to be; nothing in it if it is attached to. Undefined before it is opened. */
  startWith: Partial<RunStart> | undefined;

  constructor(
    client?: AnyClient,
    open?: Open,
    /** The id of a run: it can be cancelled before it is known. */
    id?: string,
    more?: Partial<ThreadView>,
  ) {
    const state = { messages: NONE, values: undefined, latest: {}, view: {} as RunView };
    super(state);
    this.#client = client;
    this.#open = open;
    const { cancel, respond, answer } = this;
    Object.assign(state.view, {
      id,
      interrupts: NONE,
      isLoading: !!client,
      isCaughtUp: false,
      cancel,
      respond,
      answer,
      store: this,
      ...more,
    });
  }

  protected start(): void {
    if (!this.#client) return;
    this.#unlisten = this.#client.onState(this.changed);
    void this.#takeAll(this.#client);
  }

  protected stop(): void {
    this.#loop = undefined;
    this.#feed?.leave();
    this.#unlisten?.();
  }

  protected read(): RunState {
    const { initial, state } = this;
    const { messages = NONE, isCaughtUp = false } = this.#feed?.shown ?? {};
    this.#run = this.#feed?.run() ?? this.#run;
    const run = this.#run;
    const { id, status, interrupts = NONE, values } = run ?? (initial.view as Partial<Run>);
    const view: RunView = {
      ...initial.view,
      ...this.#about,
      id,
      run,
      status,
      interrupts: kept(state.view.interrupts, interrupts),
      isLoading: state.view.isLoading && !status && !this.#about.error && !isCaughtUp,
      isCaughtUp,
    };
    return {
      messages,
      values,
      latest: { ...this.#latest },
      view: kept(state.view, view),
    };
  }

  // ── events ───────────────────────────────────────────────────────────────────────────────────

  /** Call `listener` with each event from now on; return a function that ends it. */
  listen(listener: (event: AnyEvent) => void): () => void {
    return listen(this.#listeners, listener);
  }

  async #takeAll(client: AnyClient): Promise<void> {
    const loop = {};
    this.#loop = loop;
    try {
      const feed = await (this.#open as NonNullable<Open>)(client);
      feed.shown.onCaughtUp(this.changed);
      // It may have taken so long that nobody wants it any more.
      if (this.#loop !== loop) feed.leave();
      else this.#feed = feed;
      while (this.#loop === loop) {
        this.changed();
        const { done, value: event } = await feed.next();
        if (done) return;
        this.#take(event, client);
      }
    } catch (error) {
      if (this.#loop === loop) this.#about.error = error as Error;
    } finally {
      this.changed();
    }
  }

  #take(event: AnyEvent, client: AnyClient): void {
    const about = this.#about;
    if (event.mode === "lifecycle")
      for (const mode in this.#latest) {
        const { run, seq } = this.#latest[mode] as Event;
        if (run === event.run && seq > (event.voidAfter ?? seq)) delete this.#latest[mode]; // it is taken back
      }
    this.#latest[event.mode] = event;
    if (event.mode === "run" || event.mode === "discard") {
      // The run that begins may end before a frame; one that its server forgot is not asked for again.
      this.#run = this.#feed?.run();
      this.#about = { healed: about.healed };
    } else if (event.mode === "lifecycle") {
      const { status, error = { code: status, message: "" } } = event;
      about.reason = event.reason;
      if (status === "failed") about.error = new RunFailed(event.run, error);
    } else if (event.mode === "snapshot") {
      about.healed = event.heals ?? about.healed;
      if (event.status === "failed")
        client.result(event.run).catch((error) => {
          about.error ??= error;
          this.changed();
        });
    }
    for (const listener of this.#listeners) listener(event);
  }

  // ── requests ─────────────────────────────────────────────────────────────────────────────────

  readonly cancel = async (reason?: string): Promise<Status | undefined> => {
    const id = this.initial.view.id ?? this.#asked().id;
    return this.#client?.cancel(id, reason);
  };

  readonly respond: Run["respond"] = async (responses, options) =>
    this.#asked().respond(responses, options).finally(this.changed);

  readonly answer: Run["answer"] = async (value) => this.#asked().answer(value).finally(this.changed);

  #asked(): Run {
    if (!this.#run) throw new TypeError("no run yet");
    return this.#run;
  }
}

// ── which store ────────────────────────────────────────────────────────────────────────────────

/** What hooks read while there is no run. */
const IDLE = new RunStore();
const ofRuns = new WeakMap<object, RunStore>();

function feedOf(run: Run): Feed {
  return {
    shown: run,
    run: () => run,
    next: () => run[Symbol.asyncIterator]().next(),
    leave: () => run.detach(),
  };
}

/** Return the store of a run; components that ask for the same id with the same options share one. */
export function runStoreOf(
  client: AnyClient | null | undefined,
  what: string | Run | RunStart | null | undefined,
  options: RunViewOptions = {},
): RunStore {
  if (!client || !what) return IDLE;
  if (typeof what === "object" && "id" in what) {
    const store = ofRuns.get(what) ?? new RunStore(client, async () => feedOf(what), what.id);
    ofRuns.set(what, store);
    return store;
  }
  const start = typeof what === "object" ? what : undefined;
  const id = start ? start.run : (what as string);
  const view = viewIn(start ?? options);
  const sharedBy = (key?: string): RunStore => {
    const store: RunStore = storeOf(client, `run ${id} ${view} ${key}`, () => {
      const open = async () => {
        store.startWith ??= {};
        const { graph, input, ...more } = store.startWith;
        return feedOf(await (graph ? client.run(graph, input, more) : client.attach(id, JSON.parse(view))));
      };
      return new RunStore(client, open, id);
    });
    store.startWith ??= start;
    const { graph, thread } = store.startWith ?? {};
    // The id may be that of a run of another graph or thread, which the server says if it is asked.
    return start && (graph !== start.graph || thread !== start.thread)
      ? sharedBy(`${start.graph} ${start.thread}`)
      : store;
  };
  return sharedBy();
}

/** Return the store of a thread. */
export function threadStoreOf(
  client: AnyClient | null | undefined,
  graph: string,
  thread: string | null | undefined,
  options: ThreadViewOptions = {},
): RunStore {
  if (!client || !thread) return IDLE;
  const view = viewIn(options);
  const open = async () => {
    const follower = await client.follow(graph, thread, JSON.parse(view));
    return {
      shown: follower,
      run: () => follower.run,
      next: () => follower.next(),
      leave: () => follower.return(),
    };
  };
  const start: ThreadView["start"] = async (input, more) => {
    const { modes = ["messages", "custom"], namespaces } = options;
    const run = await client.run(graph, input, { modes, namespaces, ...more, thread });
    run.detach(); // following the thread shows it
    return run;
  };
  return storeOf(
    client,
    `thread ${JSON.stringify([graph, thread])} ${view}`,
    () => new RunStore(client, open, undefined, { start }),
  );
}

const VIEW = "modes namespaces nodes tags keys exclude start epoch seq window values key".split(" ");

/** Return what of the options says which events to receive, as text, always in one order. */
function viewIn(options: RunViewOptions): string {
  return JSON.stringify(options, VIEW);
}
