/**
 * `Store`: what hooks read. It lives outside React, and its state changes at most once a frame. Of very many on one page
 * some change in one frame and the rest in the next ones, in turns, so that no frame takes long.
 *
 * A store works, that is, it has a subscription on the wire, from its first listener until `LINGER_MS` after its last.
 * So StrictMode's second mount, and a page that shows the same run again, find it at work. Between two frames its state
 * does not change, whatever arrives: components that read it at different moments of one rendering agree.
 */

/** How long a store works on without a listener. */
export const LINGER_MS = 1000;

/** A frame that takes longer than this is not waited for: the page was hidden meanwhile, and has no frames. */
const LONGEST_FRAME_MS = 1000;
const HIDDEN_FRAME_MS = 16; // a browser makes it longer, up to a minute

const nothing = () => {};

/** What a hook selects from. */
export interface Source<T> {
  readonly state: T;
  readonly initial: T;
  readonly subscribe: (listener: () => void) => () => void;
}

/** A source with listeners, which is at work while it has some. */
export abstract class Store<T> implements Source<T> {
  /** What was published last; the same object until the next frame with a change. */
  state: T;
  readonly #listeners = new Set<() => void>();
  #isAtWork = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    /** The state before anything is known, which is also what a server renders. */
    readonly initial: T,
  ) {
    this.state = initial;
  }

  /** Call `listener` after each change; return a function that ends it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    clearTimeout(this.#timer);
    this.#listeners.add(listener);
    this.onUse();
    if (!this.#isAtWork) {
      this.#isAtWork = true;
      this.start();
    }
    return () => {
      this.#listeners.delete(listener);
      if (!this.#listeners.size) this.linger();
    };
  };

  /** Stop in a while, unless somebody listens until then. */
  linger(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.onIdle();
      if (this.#isAtWork) this.stop();
      this.#isAtWork = false;
    }, LINGER_MS);
  }

  /** Publish what `read()` returns, at the next frame. */
  readonly changed = (): void => {
    dirty.add(this as Store<unknown>);
    if (cancelFrame !== nothing) return;
    const isVisible = globalThis.document?.visibilityState === "visible";
    const frame = isVisible ? requestAnimationFrame(publish) : undefined;
    const timer = setTimeout(publish, isVisible ? LONGEST_FRAME_MS : HIDDEN_FRAME_MS);
    cancelFrame = () => {
      clearTimeout(timer);
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  };

  /** @internal */
  publish(): void {
    this.state = this.read();
    for (const listener of this.#listeners) listener();
  }

  /** Called when somebody begins to listen, and when nobody has for a while. */
  onUse: () => void = nothing;
  onIdle: () => void = nothing;

  protected abstract start(): void;
  protected abstract stop(): void;
  /** Return the present state. */
  protected abstract read(): T;
}

// ── frames ─────────────────────────────────────────────────────────────────────────────────────

/** Stores are published together, so that React renders once; what more than this have to say waits for the next frame. */
const AT_ONCE = 16;
const dirty = new Set<Store<unknown>>();
let cancelFrame = nothing;

function publish(): void {
  cancelFrame();
  cancelFrame = nothing;
  const stores = [...dirty].slice(0, AT_ONCE);
  for (const store of stores) dirty.delete(store);
  for (const store of stores) store.publish();
  for (const store of dirty) store.changed(); // asks for the next frame
}

// ── one store for all components that ask for the same ─────────────────────────────────────────

const stores = new WeakMap<object, Map<string, Store<unknown>>>();

/** Return the store of `owner` with this key; make it if nobody uses one. */
export function storeOf<S extends Store<unknown>>(owner: object, key: string, make: () => S): S {
  const all = stores.get(owner) ?? new Map<string, Store<unknown>>();
  stores.set(owner, all);
  const known = all.get(key);
  if (known) return known as S;
  const store = make();
  store.onUse = () => all.set(key, store);
  store.onIdle = () => all.get(key) === store && all.delete(key);
  store.onUse();
  store.linger(); // a component that asked for it may never be mounted
  return store;
}

/** Return `now`, or `old` if the two are arrays or plain objects of the same values. */
export function kept<T>(old: T | undefined, now: T): T {
  if (!isPlain(old) || !isPlain(now) || old.constructor !== now.constructor) return now;
  const keys = Object.keys(now);
  const isSame =
    keys.length === Object.keys(old).length &&
    keys.every((key) => key in old && Object.is(old[key], now[key]));
  return isSame ? old : now;
}

function isPlain(value: unknown): value is { [key: string]: unknown } {
  return [Object, Array].includes((value as object | null | undefined)?.constructor as never);
}
