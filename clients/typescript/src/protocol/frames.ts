// Written by scripts/generate.mjs from proto-docs/schema: do not edit.

export type Wire = ClientFrame | ServerFrame | Payload;
/**
 * Every frame that a client may send.
 */
export type ClientFrame =
  | Hello
  | Run
  | Subscribe
  | Watch
  | Unsubscribe
  | Credit
  | Cancel
  | Respond
  | Result
  | List
  | State
  | StateHistory
  | StateUpdate
  | ThreadUpdate
  | Delete
  | Ping;
/**
 * Every frame that a server may send.
 */
export type ServerFrame =
  | Welcome
  | Started
  | Subscribed
  | Ok
  | Error
  | Pong
  | Notice
  | Goaway
  | Event
  | Gap
  | Snapshot
  | Synced
  | Mark
  | RunInfo
  | RunGone
  | ThreadInfo
  | ThreadGone
  | Closed;
/**
 * The `data` of the protocol's own modes.
 */
export type Payload = Lifecycle | MessageData | Interrupts;

/**
 * The first frame of a connection: it says who the client is and what it understands.
 *
 * Client: sends it first, within ``hello_timeout_s``; further frames may follow in the same flight without
 * waiting.
 *
 * Server: handles frames in order and answers ``welcome``. A refused token gets ``error unauthenticated``
 * and close 4401.
 *
 * Misuse: another frame first closes with 4400, silence with 4408; a second ``hello`` is
 * ``invalid_argument``.
 */
export interface Hello {
  client?: Product | undefined;
  /**
   * The optional parts that the client understands; see ``welcome.features``.
   */
  features?: string[] | undefined;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * The credential, if the server asks for one. It is never part of a URL.
   */
  token?: string | undefined;
  type: "hello";
}
/**
 * A program's name and version.
 */
export interface Product {
  /**
   * The program's name.
   */
  name: string;
  /**
   * Its version.
   */
  version: string;
}
/**
 * Start a run, or find it again by its id; attach every spec of ``subscribe`` before the first event.
 *
 * Client: chooses ``run`` itself, so that the frame can be sent again: the second one finds the run of the
 * first. ``cancel`` may follow in the same flight.
 *
 * Server: checks every spec and option first, and starts nothing if one is wrong; answers ``started``, then
 * one ``subscribed`` for each spec in their order, with the same ``id``. For an id that exists it answers
 * ``started`` with ``created: false``, whatever the ``input``, and attaches the specs.
 *
 * Misuse: ``input`` and ``command`` together, ``checkpoint`` without ``thread``, a ``thread`` for a graph
 * that can have no checkpointer, or server's keys in ``configurable``, are ``invalid_argument``; a known id
 * with another ``graph`` or ``thread`` is ``conflict``; a thread that has a run is ``busy``; a
 * ``checkpoint`` that the thread does not have is ``not_found``.
 */
export interface Run {
  /**
   * The checkpoint of the thread to start from.
   */
  checkpoint?: string | undefined;
  command?: GraphCommand | undefined;
  config?: RunConfig | undefined;
  /**
   * The graph's runtime context.
   */
  context?: unknown;
  /**
   * The graph's name, as in ``list``.
   */
  graph: string;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * What to do if the thread has a run: refuse, wait ``queued``, or cancel that run first.
   */
  if_busy?: "reject" | "enqueue" | "interrupt" | undefined;
  /**
   * The graph's input.
   */
  input?: unknown;
  /**
   * Stored with the run; lists and watches can match it.
   */
  metadata?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * ``cancel``: the run is cancelled when this connection has been gone for ``disconnect_grace_s`` and no subscription to the run is open.
   */
  on_disconnect?: "continue" | "cancel" | undefined;
  options?: RunOptions | undefined;
  record?: RecordOptions | undefined;
  /**
   * The run's id; left out, the server chooses one.
   */
  run?: string | undefined;
  /**
   * Subscriptions to attach before the run's first event.
   */
  subscribe?: Spec[] | undefined;
  /**
   * The thread: the conversation that a checkpointer keeps across runs.
   */
  thread?: string | undefined;
  type: "run";
}
/**
 * A command as the run's input, instead of an ``input``: LangGraph's ``Command``.
 */
export interface GraphCommand {
  /**
   * The next nodes: a name, ``{"node", "arg"}`` for LangGraph's ``Send``, or a list of both. A ``Send`` may have a ``timeout``: seconds, or an object of ``run_timeout``, ``idle_timeout`` and ``refresh_on``.
   */
  goto?: unknown;
  /**
   * The answer to the graph's interrupt.
   */
  resume?: unknown;
  /**
   * An update of the state.
   */
  update?: unknown;
}
/**
 * The part of LangGraph's config that a client may set.
 */
export interface RunConfig {
  /**
   * Settings that the graph's code reads. Keys that the server sets (``thread_id``, ``checkpoint_*`` and more) are refused.
   */
  configurable?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * How many tasks may run at once.
   */
  max_concurrency?: number | undefined;
  /**
   * Metadata for the graph's own tracing.
   */
  metadata?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * How many supersteps the run may take.
   */
  recursion_limit?: number | undefined;
  /**
   * A name for tracing.
   */
  run_name?: string | undefined;
  /**
   * Tags for every call in the run.
   */
  tags?: string[] | undefined;
}
/**
 * Options of the graph's ``astream``.
 */
export interface RunOptions {
  /**
   * When checkpoints are written.
   */
  durability?: "sync" | "async" | "exit" | undefined;
  /**
   * Nodes to pause after; ``*`` is all.
   */
  interrupt_after?: string[] | "*" | undefined;
  /**
   * Nodes to pause before; ``*`` is all.
   */
  interrupt_before?: string[] | "*" | undefined;
  /**
   * State keys of the output.
   */
  output_keys?: string[] | string | undefined;
  /**
   * LangGraph's version of the stream. With ``v2`` states of dataclasses and pydantic models are recorded as the class makes them, with its defaults.
   */
  version?: "v1" | "v2" | undefined;
}
/**
 * What the log records beyond what the run's first subscriptions ask for.
 */
export interface RecordOptions {
  /**
   * Modes to record.
   */
  modes?: (
    | "values"
    | "updates"
    | "custom"
    | "messages"
    | "tasks"
    | "checkpoints"
    | "debug"
    | "interrupt"
    | "lifecycle"
  )[] | undefined;
  /**
   * Whether to record events of subgraphs.
   */
  subgraphs?: boolean | undefined;
}
/**
 * A subscription to a run: its number, its filter, and where delivery begins.
 */
export interface Spec {
  /**
   * How many events the server may send before ``credit`` frames add more; 0 is legal. Left out, there is no limit but the socket's own pace.
   */
  credit?: number | undefined;
  filter: Filter;
  /**
   * Where delivery begins: at the log's first event, with new events only, with a snapshot of the head, or after a cursor.
   */
  from?: ("start" | "now" | "snapshot") | Position | undefined;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  /**
   * ``patch``: states of mode ``values`` are sent as differences, if ``welcome.features`` has ``patch``.
   */
  values?: "full" | "patch" | undefined;
}
/**
 * Which events of a run a subscription gets.
 *
 * Dimensions AND, the entries of a list OR, ``exclude`` wins. An absent list is no constraint, an empty one
 * matches nothing; ``namespaces`` absent means the root only.
 */
export interface Filter {
  exclude?: Exclude | undefined;
  /**
   * State keys to project ``values`` and ``updates`` to.
   */
  keys?: string[] | undefined;
  /**
   * The modes to deliver; at least one. ``lifecycle`` and ``interrupt`` come anyway.
   */
  modes: (
    | "values"
    | "updates"
    | "custom"
    | "messages"
    | "tasks"
    | "checkpoints"
    | "debug"
    | "interrupt"
    | "lifecycle"
  )[];
  /**
   * Namespace patterns. Left out: the root only.
   */
  namespaces?: string[][] | undefined;
  /**
   * Globs of node names.
   */
  nodes?: string[] | undefined;
  /**
   * Globs of the tags of model calls.
   */
  tags?: string[] | undefined;
}
/**
 * What a filter leaves out, whatever else it admits.
 */
export interface Exclude {
  /**
   * Namespaces to leave out.
   */
  namespaces?: string[][] | undefined;
  /**
   * Nodes to leave out.
   */
  nodes?: string[] | undefined;
  /**
   * Tags to leave out.
   */
  tags?: string[] | undefined;
}
/**
 * A cursor: delivery begins after event ``seq`` of the log's incarnation ``epoch``.
 */
export interface Position {
  /**
   * Names one incarnation of a log. Opaque to clients.
   */
  epoch: string;
  /**
   * A position in a run's log, counted by the server from 1; 0 is before the first event.
   */
  seq: number;
}
/**
 * Attach to a run's log: replay from a cursor, then live.
 *
 * Client: after a lost connection, sends one for each subscription, from its cursor, in the same flight as
 * ``hello``.
 *
 * Server: answers ``subscribed`` before the subscription's first event, then delivers what the filter in
 * force admits.
 *
 * Misuse: a ``sub`` in use is ``conflict``; an unknown run ``not_found``; a filter that is not understood
 * completely ``invalid_filter``; a mode that the run does not record ``unsupported``.
 */
export interface Subscribe {
  /**
   * How many events the server may send before ``credit`` frames add more; 0 is legal. Left out, there is no limit but the socket's own pace.
   */
  credit?: number | undefined;
  filter: Filter;
  /**
   * Where delivery begins: at the log's first event, with new events only, with a snapshot of the head, or after a cursor.
   */
  from?: ("start" | "now" | "snapshot") | Position | undefined;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * The run to follow.
   */
  run: string;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "subscribe";
  /**
   * ``patch``: states of mode ``values`` are sent as differences, if ``welcome.features`` has ``patch``.
   */
  values?: "full" | "patch" | undefined;
}
/**
 * Follow the states of all runs or threads that match: states, not events. A watch keeps none of them
 * alive.
 *
 * Client: watches again after a lost connection; a ``run_info`` that it has seen before is harmless. What
 * the new list does not name is gone, or does not match any more, unless the list was cut.
 *
 * Server: answers ``subscribed``, then sends a ``run_info`` for each run that matches now, newest first and
 * at most ``max_watch_runs``, then ``synced``. After that it sends one for every new run that matches and
 * for every change of status, including the change by which a run stops matching; and ``run_gone`` for a run
 * that matched at some time and is forgotten. With ``what: "threads"`` these are ``thread_info``, one for
 * each change of the row, and ``thread_gone``.
 *
 * Misuse: a ``sub`` in use is ``conflict``; ``progress`` of threads and ``search`` of runs are
 * ``invalid_argument``.
 */
export interface Watch {
  /**
   * Only runs or threads of these graphs.
   */
  graphs?: string[] | undefined;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * Only runs or threads whose metadata has all of these.
   */
  metadata?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * Whether to report how far the runs are: a ``run_info`` with the new ``head`` for each run whose log grows, at most once a second for each. Servers of 1.0 ignore it. For runs only.
   */
  progress?: boolean | undefined;
  /**
   * Only threads whose title has this text, as in ``list``.
   */
  search?: string | undefined;
  /**
   * Only runs or threads in one of these statuses.
   */
  status?: ("queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled")[] | undefined;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  /**
   * Only runs of this thread, or this thread itself.
   */
  thread?: string | undefined;
  type: "watch";
  /**
   * What to follow; left out, runs. ``threads`` needs ``threads`` in ``welcome.features``: other servers ignore the field and send runs.
   */
  what?: "runs" | "threads" | undefined;
}
/**
 * Detach: no frame of that ``sub`` follows the reply, and the number may be used again.
 *
 * Client: frames of that ``sub`` may arrive until the reply. A ``subscribe`` with the same ``sub`` may be
 * sent right behind this frame.
 *
 * Server: answers ``ok``. The run continues.
 *
 * Misuse: a ``sub`` that is not open is ``not_found``; it may have closed by itself meanwhile.
 */
export interface Unsubscribe {
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "unsubscribe";
}
/**
 * Let the server send ``events`` more events on ``sub``.
 *
 * Client: sends it as its application takes events, preferably half a window at once.
 *
 * Server: adds it. There is no reply. An unknown ``sub`` is ignored, because it may just have closed.
 */
export interface Credit {
  /**
   * How many more events.
   */
  events: number;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "credit";
}
/**
 * Stop a run.
 *
 * Client: may send it at any time, even right behind ``run``, and more than once. The run has ended with its
 * terminal event, not with the reply.
 *
 * Server: answers ``ok`` with the current status. The log gets its terminal event within ``cancel_grace_s``,
 * even if the graph's code does not react. What that code still produces is dropped, and the thread stays
 * busy until the code has stopped.
 *
 * Misuse: an unknown run is ``not_found``. Cancelling a run that has ended is legal.
 */
export interface Cancel {
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * Why; repeated in the terminal event.
   */
  reason?: string | undefined;
  /**
   * The run to stop.
   */
  run: string;
  type: "cancel";
}
/**
 * Answer an interrupted run; it resumes in the same log.
 *
 * Client: names each interrupt by its id. At a static breakpoint nothing is asked, and ``responses`` is
 * empty.
 *
 * Server: keeps answers until every pending interrupt has one, then resumes the run. With ``partial`` it
 * resumes at once, and the graph asks again for what is missing. Answers ``ok`` with the status: ``running``
 * if the run resumes, ``interrupted`` if it waits for more. With interrupts pending, empty ``responses``
 * change nothing.
 *
 * Misuse: a run that is not interrupted, or an interrupt that has been answered, is ``conflict``: of two
 * racing answers one wins. An interrupt that is not pending is ``not_found``; one that is named twice is
 * ``invalid_argument``, as is an answer that does not fit its ``response_schema``. Each of these refuses the
 * whole frame.
 */
export interface Respond {
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * Whether to resume although some interrupts have no answer yet.
   */
  partial?: boolean | undefined;
  /**
   * The answers.
   */
  responses: Response[];
  /**
   * The run that asks.
   */
  run: string;
  type: "respond";
}
/**
 * The answer to one pending interrupt.
 */
export interface Response {
  /**
   * The interrupt's id.
   */
  interrupt: string;
  /**
   * What ``interrupt()`` returns in the graph; ``null`` is a value, too.
   */
  value: unknown;
}
/**
 * Ask for what ``invoke`` would return.
 *
 * Client: asks when it has seen the run end, or at any other time.
 *
 * Server: answers ``ok`` with ``status``, and with ``output`` once the run is ``completed``, until
 * ``result_ttl_s`` after its end. An output larger than ``max_event_bytes`` is ``too_large``.
 *
 * Misuse: an unknown or forgotten run is ``not_found``.
 */
export interface Result {
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * The run.
   */
  run: string;
  type: "result";
}
/**
 * Ask for rows: graphs, this principal's runs, or its threads, newest first.
 *
 * Client: sends the ``cursor`` of the reply to get the next page; the last page has none.
 *
 * Server: answers ``ok`` with the rows under the name of ``what``. A page that would be larger than
 * ``max_event_bytes`` ends early, with a ``cursor``.
 *
 * Misuse: ``search`` of runs or graphs is ``invalid_argument``. Servers without ``threads`` in
 * ``welcome.features`` ignore ``search``, and the ``metadata`` of threads.
 */
export interface List {
  /**
   * The ``cursor`` of the page before.
   */
  cursor?: string | undefined;
  /**
   * Only rows of this graph.
   */
  graph?: string | undefined;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * Rows in one page.
   */
  limit?: number | undefined;
  /**
   * Only runs or threads whose metadata has all of these.
   */
  metadata?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * Only threads whose title has this text, in upper or lower case: the first 1,024 characters of the string ``metadata.title``.
   */
  search?: string | undefined;
  /**
   * Only runs or threads in one of these statuses.
   */
  status?: ("queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled")[] | undefined;
  /**
   * Only rows of this thread.
   */
  thread?: string | undefined;
  type: "list";
  /**
   * The kind of rows.
   */
  what: "graphs" | "runs" | "threads";
}
/**
 * Ask for a thread's state: LangGraph's ``get_state``.
 *
 * Client: may ask while a run writes the thread; the answer is the last checkpoint.
 *
 * Server: answers ``ok`` with ``values``, ``next``, ``tasks``, ``interrupts``, ``config`` and, if there
 * is a checkpoint, ``metadata``, ``created_at`` and ``parent_config``. A thread that has never been written
 * has no values, and ``next`` is empty. Values larger than ``max_event_bytes`` are ``too_large``: ask with
 * ``keys``. Of the rest, what is too large is cut.
 *
 * Misuse: an unknown graph or checkpoint is ``not_found``; a graph that can have no checkpointer is
 * ``invalid_argument``.
 */
export interface State {
  /**
   * A checkpoint of its history; left out, the latest.
   */
  checkpoint?: string | undefined;
  /**
   * The graph whose thread it is.
   */
  graph: string;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * Only these keys of ``values``.
   */
  keys?: string[] | undefined;
  /**
   * The path of a subgraph, as events have it; left out, the root.
   */
  ns?: string[] | undefined;
  /**
   * Whether ``tasks`` include the states of subgraphs that wait.
   */
  subgraphs?: boolean | undefined;
  /**
   * The thread.
   */
  thread: string;
  type: "state";
}
/**
 * Ask for a thread's states, the newest first: LangGraph's ``get_state_history``.
 *
 * Client: gets the next page with the ``cursor`` of the reply as ``before``.
 *
 * Server: answers ``ok`` with ``states``. A page that would be larger than ``max_event_bytes`` ends early,
 * but not before its first state, whose largest keys are cut if it does not fit. ``cursor`` says that there
 * are more; before 1.1 there is none, and a page is the last if it has fewer states than ``limit``.
 *
 * Misuse: as of ``state``.
 */
export interface StateHistory {
  /**
   * Only states before this checkpoint.
   */
  before?: string | undefined;
  /**
   * A checkpoint of its history; left out, the latest.
   */
  checkpoint?: string | undefined;
  /**
   * The graph whose thread it is.
   */
  graph: string;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * Only these keys of ``values``.
   */
  keys?: string[] | undefined;
  /**
   * States in one page.
   */
  limit?: number | undefined;
  /**
   * Only checkpoints whose metadata has all of these.
   */
  metadata?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * The path of a subgraph, as events have it; left out, the root.
   */
  ns?: string[] | undefined;
  /**
   * The thread.
   */
  thread: string;
  type: "state_history";
}
/**
 * Write into a thread's state as a node would: LangGraph's ``update_state``.
 *
 * Client: names an earlier ``checkpoint`` to branch from it, and starts a run from the one in ``config``.
 *
 * Server: writes a new checkpoint and answers ``ok`` with its ``config``.
 *
 * Misuse: as of ``state``; while a run writes the thread it is ``busy``; what the graph refuses, such as an
 * ambiguous ``as_node``, is ``invalid_argument``.
 */
export interface StateUpdate {
  /**
   * The node in whose name to write; left out, the node that wrote last, if there is only one.
   */
  as_node?: string | undefined;
  /**
   * A checkpoint of its history; left out, the latest.
   */
  checkpoint?: string | undefined;
  /**
   * The graph whose thread it is.
   */
  graph: string;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * The path of a subgraph, as events have it; left out, the root.
   */
  ns?: string[] | undefined;
  /**
   * The task in whose name to write, if the node has several.
   */
  task?: string | undefined;
  /**
   * The thread.
   */
  thread: string;
  type: "state_update";
  /**
   * The update, as a node returns it; ``null`` writes nothing.
   */
  values: unknown;
}
/**
 * Set metadata of a thread: a title, an owner, tags, whatever the application keeps there.
 *
 * Client: sends the keys that change, with ``null`` for a key to remove. Needs ``threads`` in
 * ``welcome.features``.
 *
 * Server: merges ``metadata`` key by key, at any time, whether or not a run uses the thread; of two clients
 * that set one key, the later wins. Answers ``ok`` with the ``thread`` as it is then. A thread that is not
 * known exists from then on, without a run. Metadata lives in the server's memory: it is gone after a
 * restart, even if a database keeps the thread, and when the server's saver in memory lets the thread go.
 *
 * Misuse: an unknown graph is ``not_found``; a graph that can have no checkpointer is ``invalid_argument``;
 * metadata that would exceed ``max_metadata_bytes``, or what the principal may keep (``store_bytes``), is
 * ``limit_exceeded``; a thread that is being deleted is ``busy``. Each changes nothing.
 */
export interface ThreadUpdate {
  /**
   * The graph whose thread it is.
   */
  graph: string;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * What to set, by key; ``null`` removes a key.
   */
  metadata: {
    [k: string]: unknown;
  };
  /**
   * The thread.
   */
  thread: string;
  type: "thread_update";
}
/**
 * Delete a run, or a thread with its runs, checkpoints and metadata.
 *
 * Client: names ``run``, or ``graph`` and ``thread``.
 *
 * Server: answers ``ok`` when logs, results and checkpoints are gone; viewers get ``closed`` with reason
 * ``deleted``. An interrupted run is cancelled first.
 *
 * Misuse: an unknown run or thread is ``not_found``; while a run is running or queued it is ``conflict``.
 */
export interface Delete {
  /**
   * The graph of the thread to delete.
   */
  graph?: string | undefined;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * The run to delete; its thread stays.
   */
  run?: string | undefined;
  /**
   * The thread to delete.
   */
  thread?: string | undefined;
  type: "delete";
}
/**
 * A ping for browsers, which cannot send a WebSocket's own.
 *
 * Client: may send it at any time after ``hello``; it counts as a request.
 *
 * Server: answers ``pong`` with the same ``t``. It sends WebSocket pings of its own every ``heartbeat_s``.
 */
export interface Ping {
  /**
   * Any value; it comes back.
   */
  t: unknown;
  type: "ping";
}
/**
 * The reply to ``hello``: server and principal, what is enabled, and the limits.
 *
 * Server: sends it before any other reply.
 *
 * Client: obeys ``limits`` from now on and checks the size of a frame before sending it; uses no optional
 * part that ``features`` does not name.
 */
export interface Welcome {
  /**
   * What an event survives once it is delivered: nothing (``none``), a crash of the server's process, or a loss of power.
   */
  durability: "none" | "crash" | "power";
  /**
   * When that identity expires.
   */
  expires_at?: string | undefined;
  /**
   * The optional parts that are enabled.
   */
  features: string[];
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * The limits in force, by name; ``null`` is no limit.
   */
  limits: {
    [k: string]: number | null;
  };
  /**
   * The minor version: how many additions to this major version the server knows.
   */
  minor: number;
  /**
   * The identity that the connection is authenticated as.
   */
  principal: string;
  server: Product;
  type: "welcome";
}
/**
 * The reply to ``run``: the run was started, or found again.
 *
 * Server: sends it when the run exists; one ``subscribed`` for each spec follows with the same ``id``.
 *
 * Client: keeps ``run``, which later requests need. ``created: false`` means that its input was not used.
 */
export interface Started {
  /**
   * Whether this frame started the run; ``false`` if it existed already.
   */
  created: boolean;
  /**
   * The log's incarnation.
   */
  epoch: string;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * The run's id.
   */
  run: string;
  /**
   * The current status.
   */
  status: "queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled";
  /**
   * The run's thread, if it has one.
   */
  thread?: string | undefined;
  type: "started";
}
/**
 * The reply to ``subscribe`` and ``watch``, and to each spec of a ``run``: where and how delivery begins.
 *
 * Server: sends it before the first event of that ``sub``. ``after`` is left out if a ``gap`` or a
 * ``snapshot`` follows, which has the position itself. The reply to ``watch`` has ``id`` and ``sub`` only.
 *
 * Client: counts ``n`` from 1 again. If ``epoch`` differs from its cursor's, or it has no cursor yet,
 * ``(epoch, after)`` becomes its cursor.
 */
export interface Subscribed {
  /**
   * Delivery begins after this ``seq``.
   */
  after?: number | undefined;
  /**
   * The credit in force.
   */
  credit?: number | undefined;
  /**
   * The log's incarnation.
   */
  epoch?: string | undefined;
  filter?: Filter | undefined;
  /**
   * The last ``seq`` of the log now.
   */
  head?: number | undefined;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * What is sent first: nothing (``live``), the missed events, a snapshot, or a gap and a snapshot.
   */
  recovery?: "live" | "replayed" | "snapshot" | "gap" | undefined;
  /**
   * The run.
   */
  run?: string | undefined;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "subscribed";
}
/**
 * The reply to every other request; the request determines which fields it has.
 *
 * Server: sends it once, ahead of queued events.
 *
 * Client: matches it to its request by ``id`` alone, because replies may arrive in another order than their
 * requests were sent.
 */
export interface Ok {
  /**
   * To ``state`` and ``state_update``: names the checkpoint.
   */
  config?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * To ``state``: when the checkpoint was written.
   */
  created_at?: string | undefined;
  /**
   * To ``list``: where the next page begins; left out on the last. To ``state_history``: the ``before`` of the next page, if there is one; since 1.1.
   */
  cursor?: string | undefined;
  /**
   * To ``list`` of graphs.
   */
  graphs?: GraphRow[] | undefined;
  /**
   * Chosen by the client; unique among the connection's open requests.
   */
  id: number;
  /**
   * To ``state``: the pending interrupts. To ``result``: what the run asked, if it is ``completed`` for the reason ``interrupted``, because nobody can answer.
   */
  interrupts?: AskedInterrupt[] | undefined;
  /**
   * To ``state``: the checkpoint's metadata.
   */
  metadata?: unknown;
  /**
   * To ``state``: the nodes that run next.
   */
  next?: string[] | undefined;
  /**
   * To ``result``: the output, once ``completed``; it may be ``null``.
   */
  output?: unknown;
  /**
   * To ``state``: names the checkpoint before it.
   */
  parent_config?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * To ``list`` of runs.
   */
  runs?: RunRow[] | undefined;
  /**
   * To ``state_history``: the states, the newest first.
   */
  states?: ThreadState[] | undefined;
  /**
   * To ``cancel``, ``respond`` and ``result``: the run's status now.
   */
  status?: "queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled" | undefined;
  /**
   * To ``state``: their tasks.
   */
  tasks?: StateTask[] | undefined;
  thread?: ThreadRow | undefined;
  /**
   * To ``state``: the numbering that ``thread_seq`` belongs to.
   */
  thread_epoch?: string | undefined;
  /**
   * To ``state``: the ``thread_seq`` of the thread's latest run that had begun when the state had been read; left out if no run of the thread is known. A later run has not changed this state.
   */
  thread_seq?: number | undefined;
  /**
   * To ``list`` of threads.
   */
  threads?: ThreadRow[] | undefined;
  type: "ok";
  /**
   * To ``state``: the state. This and what follows are ``ThreadState``'s.
   */
  values?: unknown;
}
/**
 * A graph in a list.
 */
export interface GraphRow {
  /**
   * JSON Schema of the context.
   */
  context_schema?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * For people.
   */
  description?: string | undefined;
  /**
   * How its nodes are connected.
   */
  edges: Edge[];
  /**
   * JSON Schema of the input.
   */
  input_schema?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * The modes that it can be streamed with.
   */
  modes: string[];
  /**
   * The name, as ``run.graph`` takes it.
   */
  name: string;
  /**
   * The names of its nodes.
   */
  nodes: string[];
  /**
   * The state keys of the output. A string if the output is one value, which need not be an object.
   */
  output_keys?: string[] | string | undefined;
  /**
   * JSON Schema of the output.
   */
  output_schema?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * The graphs that run in its nodes, as far as the server knows them.
   */
  subgraphs?: Subgraph[] | undefined;
}
/**
 * An edge of a graph.
 */
export interface Edge {
  /**
   * ``true`` if a router decides whether it is taken.
   */
  conditional?: boolean | undefined;
  /**
   * The node that it starts at.
   */
  source: string;
  /**
   * The node that it leads to.
   */
  target: string;
}
/**
 * A graph that runs in a node of another one; its events have the node in their namespace.
 */
export interface Subgraph {
  /**
   * ``true`` if it is left out, because it is too deep or the subgraphs are too large: ``nodes`` and ``edges`` are empty then.
   */
  cut?: boolean | undefined;
  /**
   * How its nodes are connected.
   */
  edges: Edge[];
  /**
   * The node.
   */
  node: string;
  /**
   * The names of its nodes.
   */
  nodes: string[];
  /**
   * The graphs that run in its nodes.
   */
  subgraphs?: Subgraph[] | undefined;
}
/**
 * An interrupt as a state has it, and as an ``updates`` or ``values`` event carries it beside its
 * ``data``.
 */
export interface AskedInterrupt {
  /**
   * The interrupt's id.
   */
  id: string;
  /**
   * The JSON Schema of an answer, as it is, without tags; left out if the graph gives none.
   */
  response_schema?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * What the graph asks.
   */
  value?: unknown;
}
/**
 * A run in a list.
 */
export interface RunRow {
  /**
   * 1, plus one for each takeover after a crash.
   */
  attempt: number;
  /**
   * The checkpoint of its thread that it began from; ``""`` if the thread had none. Left out while it is not known yet, and for good if the run ended before its graph began.
   */
  checkpoint?: string | undefined;
  /**
   * When the run was requested.
   */
  created_at: string;
  /**
   * When it ended.
   */
  ended_at?: string | undefined;
  /**
   * The log's incarnation.
   */
  epoch: string;
  error?: Failure | undefined;
  /**
   * The graph's name.
   */
  graph: string;
  /**
   * The last ``seq`` of the log.
   */
  head: number;
  /**
   * The ids of its pending interrupts.
   */
  interrupts?: string[] | undefined;
  /**
   * The ``metadata`` of its ``run`` frame.
   */
  metadata: {
    [k: string]: unknown;
  };
  /**
   * The modes that its log records.
   */
  modes: string[];
  /**
   * With ``interrupted``: what it asks, as far as 4 KiB hold it. A value that is too large is ``$cut``, and the last questions are left out if there are too many; ``interrupts`` names all.
   */
  questions?: PendingInterrupt[] | undefined;
  /**
   * Why it has this status, as its ``lifecycle`` event says.
   */
  reason?: string | undefined;
  /**
   * The run's id.
   */
  run: string;
  /**
   * When it began to run.
   */
  started_at?: string | undefined;
  /**
   * The current status.
   */
  status: "queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled";
  /**
   * Its thread, if it has one.
   */
  thread?: string | undefined;
  /**
   * Names the numbering that ``thread_seq`` belongs to: the server begins another one, from 1, once it knows no run of the thread any more.
   */
  thread_epoch?: string | undefined;
  /**
   * The run's number among those of its thread, counted from 1 in the order in which they begin to run; left out before it begins.
   */
  thread_seq?: number | undefined;
}
/**
 * Why a run failed. Unless the server exposes errors, the message is generic and ``type`` is left out.
 */
export interface Failure {
  /**
   * The graph raised, took too many steps or too long, made too many events, or its worker was lost.
   */
  code: ("graph_error" | "recursion_limit" | "timeout" | "limit_exceeded" | "lost") | string;
  /**
   * Find the rest in the server's log by it.
   */
  error_id?: string | undefined;
  /**
   * For people.
   */
  message: string;
  /**
   * The exception's class.
   */
  type?: string | undefined;
}
/**
 * A question that waits for an answer.
 */
export interface PendingInterrupt {
  /**
   * The interrupt's id, which an answer names.
   */
  id: string;
  /**
   * The path of the subgraph that asks, as deep as it is known.
   */
  ns?: string[] | undefined;
  /**
   * The JSON Schema of an answer, as it is, without tags; left out if the graph gives none.
   */
  response_schema?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * What the graph asks.
   */
  value?: unknown;
}
/**
 * A thread at one checkpoint: LangGraph's ``StateSnapshot``.
 */
export interface ThreadState {
  /**
   * Names the checkpoint: ``{"configurable": {"thread_id", "checkpoint_ns", "checkpoint_id"}}``.
   */
  config: {
    [k: string]: unknown;
  };
  /**
   * When the checkpoint was written.
   */
  created_at?: string | undefined;
  /**
   * Their pending interrupts.
   */
  interrupts: AskedInterrupt[];
  /**
   * The checkpoint's metadata; ``null`` if there is no checkpoint.
   */
  metadata?: unknown;
  /**
   * The nodes that run next.
   */
  next: string[];
  /**
   * The ``config`` of the checkpoint before it.
   */
  parent_config?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * Their tasks.
   */
  tasks: StateTask[];
  /**
   * The state.
   */
  values: unknown;
}
/**
 * A task of a checkpoint: LangGraph's ``PregelTask``.
 */
export interface StateTask {
  /**
   * The exception that it failed with.
   */
  error?: unknown;
  /**
   * The task's id.
   */
  id: string;
  /**
   * Its pending interrupts.
   */
  interrupts?: AskedInterrupt[] | undefined;
  /**
   * The node.
   */
  name: string;
  /**
   * Its path in the superstep, as LangGraph has it.
   */
  path?: unknown;
  /**
   * What it wrote.
   */
  result?: unknown;
  /**
   * For a subgraph: its ``config``, or its state if that was asked for.
   */
  state?: unknown;
}
/**
 * A thread in a list.
 */
export interface ThreadRow {
  /**
   * When the thread began, as far as is known: with its first run, checkpoint or metadata.
   */
  created_at?: string | undefined;
  /**
   * The graph's name.
   */
  graph: string;
  /**
   * With ``interrupted``: the ids of what waits for an answer.
   */
  interrupts?: string[] | undefined;
  /**
   * What ``thread_update`` has set; left out if that is nothing, and by servers without ``threads`` in ``welcome.features``.
   */
  metadata?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * With ``interrupted``: what is asked, as far as 4 KiB hold it, cut as in the row of a run.
   */
  questions?: PendingInterrupt[] | undefined;
  /**
   * Its latest run, if one is known. Left out where principals share their threads.
   */
  run?: string | undefined;
  /**
   * The status of its latest run. If no run of the thread is known: ``interrupted`` if its checkpoints say that something is left to do, else ``completed``.
   */
  status: "queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled";
  /**
   * The thread.
   */
  thread: string;
  /**
   * When the thread took that status. New metadata does not change it.
   */
  updated_at: string;
}
/**
 * The reply to a request that is refused; without ``id`` if no id could be read.
 *
 * Server: sends it instead of the success frame. It names path and reason, and never repeats the offending
 * value.
 *
 * Client: acts on ``code`` and ``retry``, never on ``message``, which is for people. For an unknown code,
 * ``retry`` decides.
 */
export interface Error {
  /**
   * With ``after``: how long to wait.
   */
  after_ms?: number | undefined;
  /**
   * One of the codes.
   */
  code: string;
  /**
   * Data for programs; it depends on the code.
   */
  details?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * The refused request.
   */
  id?: number | undefined;
  /**
   * What is wrong, where, and what to do; for people.
   */
  message: string;
  /**
   * Whether and when the request may be sent again: ``never``; the ``same`` at any time; ``after`` a while; with a new identity (``reauth``); by subscribing anew (``resync``).
   */
  retry: "never" | "same" | "after" | "reauth" | "resync";
  /**
   * The subscription that was refused or not found.
   */
  sub?: number | undefined;
  type: "error";
}
/**
 * The reply to ``ping``.
 *
 * Server: sends it at once, ahead of events.
 *
 * Client: may measure the round trip with it.
 */
export interface Pong {
  /**
   * The ping's ``t``.
   */
  t: unknown;
  type: "pong";
}
/**
 * Something that a person should know and that no program needs to act on.
 *
 * Server: may send it at any time after ``welcome``.
 *
 * Client: reports it to its application, whatever the code.
 */
export interface Notice {
  /**
   * What it is about; for programs.
   */
  code: string;
  /**
   * When it takes effect.
   */
  expires_at?: string | undefined;
  /**
   * For people.
   */
  message: string;
  type: "notice";
}
/**
 * The server will close the connection.
 *
 * Server: sends it before it drains. It refuses ``run`` with ``draining`` from now on, and closes with 1012
 * within ``deadline_s``.
 *
 * Client: may keep reading. It connects again after ``after_ms``, or when the connection is closed, and
 * resumes from its cursors.
 */
export interface Goaway {
  /**
   * How long to wait before connecting again.
   */
  after_ms: number;
  /**
   * The connection is closed within this time.
   */
  deadline_s: number;
  /**
   * Why, such as ``draining``.
   */
  reason: string;
  type: "goaway";
}
/**
 * One event of a run's log.
 *
 * Server: sends it once the log holds it at the announced ``durability``. On a subscription, ``seq`` rises
 * strictly, and ``n`` rises by one.
 *
 * Client: ignores an event at or below its cursor of the same epoch; otherwise shows it and moves the
 * cursor. If there is a hole in ``n``, it unsubscribes and subscribes again from its cursor. It passes on an
 * unknown ``mode`` as unknown.
 */
export interface Event {
  /**
   * The ``seq`` of the ``values`` event that a patch applies to.
   */
  base?: number | undefined;
  /**
   * What happened; its shape depends on the mode.
   */
  data: unknown;
  /**
   * With an ``updates`` or ``values`` event: the interrupts that came with it; empty at a static breakpoint.
   */
  interrupts?: AskedInterrupt[] | undefined;
  /**
   * LangGraph's metadata, with the first event of each message on an attachment.
   */
  meta?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * What kind of event it is.
   */
  mode: string;
  /**
   * Its number on this attachment: 1, 2, 3, …
   */
  n: number;
  /**
   * The node that it comes from, if that is known.
   */
  node?: string | undefined;
  /**
   * The subgraph path; left out for the root.
   */
  ns?: string[] | undefined;
  /**
   * Its position in the log, the same for every client.
   */
  seq: number;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  /**
   * With ``custom`` data of an ``@task``: where LangGraph shows it with subgraphs, below ``ns``.
   */
  task_ns?: string[] | undefined;
  type: "event";
}
/**
 * The events after ``after_seq`` up to ``upto_seq`` cannot be sent; the ``snapshot`` that follows
 * replaces them.
 *
 * Server: sends it if the requested position is evicted, of another epoch, or beyond the head, and to a
 * reader that falls behind while attached. The ``snapshot`` is the next frame of that ``sub``.
 *
 * Client: tells its application, which drops what it built from the lost modes. It moves its cursor with the
 * snapshot, not before: if the connection is lost between the two, it needs both again.
 */
export interface Gap {
  /**
   * The client's position.
   */
  after_seq: number;
  /**
   * The modes of this subscription whose evicted events a snapshot cannot give back.
   */
  lost: string[];
  /**
   * ``evicted``: the events are gone; ``epoch_changed``: the log began anew; ``ahead``: beyond the log's head.
   */
  reason: "evicted" | "epoch_changed" | "ahead";
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "gap";
  /**
   * The position that the snapshot describes.
   */
  upto_seq: number;
}
/**
 * The run as it was at exactly ``seq``, as far as the filter admits it.
 *
 * Server: sends it behind a ``gap``, or first for ``from: "snapshot"``; every event after ``seq`` follows.
 *
 * Client: replaces what it has of the run with it, and sets its cursor to (epoch of ``subscribed``,
 * ``seq``), even if that is lower. Later deltas continue these messages.
 */
export interface Snapshot {
  /**
   * The interrupts that wait for an answer.
   */
  interrupts: PendingInterrupt[];
  /**
   * The messages, each the sum of its deltas so far, if the filter has ``messages``.
   */
  messages: SnapshotMessage[];
  /**
   * The position that it describes.
   */
  seq: number;
  /**
   * The run's status at that position.
   */
  status: "queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled";
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "snapshot";
  /**
   * The last state of the root, if the filter has ``values``.
   */
  values?: unknown;
}
/**
 * A message as a snapshot holds it: merged, with LangGraph's metadata.
 */
export interface SnapshotMessage {
  /**
   * The key of its call, which later deltas name. Left out, it is ``id``.
   */
  call?: string | undefined;
  /**
   * The message's id, the one that the state has.
   */
  id: string;
  /**
   * The sum of its deltas so far; ``{"type", "$cut"}`` if that is too large to send.
   */
  message: {
    [k: string]: unknown;
  };
  /**
   * LangGraph's metadata.
   */
  meta?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * The node that wrote it.
   */
  node?: string | undefined;
  /**
   * The subgraph path.
   */
  ns?: string[] | undefined;
}
/**
 * The replay is complete: from now on events, or the changes of a watch, are live.
 *
 * Server: sends it once on every attachment that replays, behind the last replayed frame, and on every
 * watch. For a watch it has no ``seq``.
 *
 * Client: may tell its application that it is up to date.
 */
export interface Synced {
  /**
   * For a watch: how many matching runs or threads its list left out (``max_watch_runs``); left out if none.
   */
  cut?: number | undefined;
  /**
   * The position that the replay reached.
   */
  seq?: number | undefined;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "synced";
}
/**
 * The log has advanced to ``seq``, and no event in between passed the filter.
 *
 * Server: sends it at least every 5 seconds while the log advances and nothing matches.
 *
 * Client: moves its cursor forward to ``seq``, so that resuming is cheap. If ``n`` is there and is not the
 * ``n`` of the last event that it received, an event was lost: it unsubscribes and subscribes again from its
 * cursor, as for a hole in ``n``.
 */
export interface Mark {
  /**
   * The ``n`` of the last event sent on this attachment; 0 if none was. Left out by servers of 1.0.
   */
  n?: number | undefined;
  /**
   * How far the log has advanced.
   */
  seq: number;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "mark";
}
/**
 * The state of a run that a watch matches, or of one that has just stopped matching.
 *
 * Server: sends one for each matching run before ``synced``, then one for each change of status and each
 * new run; one more, with the same status, when the run's ``checkpoint`` becomes known; with ``progress``
 * also one, at most once a second, for a run whose log grows.
 *
 * Client: replaces what it has of that ``run``. A ``status`` that the watch does not ask for means that the
 * run no longer matches.
 */
export interface RunInfo {
  /**
   * 1, plus one for each takeover after a crash.
   */
  attempt: number;
  /**
   * The checkpoint of its thread that it began from; ``""`` if the thread had none. Left out while it is not known yet, and for good if the run ended before its graph began.
   */
  checkpoint?: string | undefined;
  /**
   * When the run was requested.
   */
  created_at: string;
  /**
   * When it ended.
   */
  ended_at?: string | undefined;
  /**
   * The log's incarnation.
   */
  epoch: string;
  error?: Failure | undefined;
  /**
   * The graph's name.
   */
  graph: string;
  /**
   * The last ``seq`` of the log.
   */
  head: number;
  /**
   * The ids of its pending interrupts.
   */
  interrupts?: string[] | undefined;
  /**
   * The ``metadata`` of its ``run`` frame.
   */
  metadata: {
    [k: string]: unknown;
  };
  /**
   * The modes that its log records.
   */
  modes: string[];
  /**
   * With ``interrupted``: what it asks, as far as 4 KiB hold it. A value that is too large is ``$cut``, and the last questions are left out if there are too many; ``interrupts`` names all.
   */
  questions?: PendingInterrupt[] | undefined;
  /**
   * Why it has this status, as its ``lifecycle`` event says.
   */
  reason?: string | undefined;
  /**
   * The run's id.
   */
  run: string;
  /**
   * When it began to run.
   */
  started_at?: string | undefined;
  /**
   * The current status.
   */
  status: "queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled";
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  /**
   * Its thread, if it has one.
   */
  thread?: string | undefined;
  /**
   * Names the numbering that ``thread_seq`` belongs to: the server begins another one, from 1, once it knows no run of the thread any more.
   */
  thread_epoch?: string | undefined;
  /**
   * The run's number among those of its thread, counted from 1 in the order in which they begin to run; left out before it begins.
   */
  thread_seq?: number | undefined;
  type: "run_info";
}
/**
 * A run is no longer there: no list has it, and its id may be used for another run.
 *
 * Server: sends it to each watch that the run has matched, behind all of the run's ``run_info``.
 *
 * Client: drops what it has of that ``run``; it may have nothing.
 */
export interface RunGone {
  /**
   * Why: it was deleted; it was kept as long as ``result_ttl_s`` allows; it made room for others (``store_bytes``).
   */
  reason: ("deleted" | "expired" | "evicted") | string;
  /**
   * The run's id.
   */
  run: string;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "run_gone";
}
/**
 * A thread that a watch of threads matches, or one that has just stopped matching.
 *
 * Server: sends one for each matching thread before ``synced``, then one for each new thread and each change
 * of a row: a new run, a new status, a question, metadata. What changes several times before it is sent is
 * sent once as it is then, but each status of a run once.
 *
 * Client: replaces what it has of that ``graph`` and ``thread``. A row that the watch does not ask for means
 * that the thread no longer matches.
 */
export interface ThreadInfo {
  /**
   * When the thread began, as far as is known: with its first run, checkpoint or metadata.
   */
  created_at?: string | undefined;
  /**
   * The graph's name.
   */
  graph: string;
  /**
   * With ``interrupted``: the ids of what waits for an answer.
   */
  interrupts?: string[] | undefined;
  /**
   * What ``thread_update`` has set; left out if that is nothing, and by servers without ``threads`` in ``welcome.features``.
   */
  metadata?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * With ``interrupted``: what is asked, as far as 4 KiB hold it, cut as in the row of a run.
   */
  questions?: PendingInterrupt[] | undefined;
  /**
   * Its latest run, if one is known. Left out where principals share their threads.
   */
  run?: string | undefined;
  /**
   * The status of its latest run. If no run of the thread is known: ``interrupted`` if its checkpoints say that something is left to do, else ``completed``.
   */
  status: "queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled";
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  /**
   * The thread.
   */
  thread: string;
  type: "thread_info";
  /**
   * When the thread took that status. New metadata does not change it.
   */
  updated_at: string;
}
/**
 * A thread is no longer there: no list has it.
 *
 * Server: sends it to each watch that the thread has matched, behind all of the thread's ``thread_info``.
 *
 * Client: drops what it has of that thread; it may have nothing. The name may be used for a new thread.
 */
export interface ThreadGone {
  /**
   * The graph's name.
   */
  graph: string;
  /**
   * Why: it was deleted; its last run was forgotten, and no checkpoint is left; it made room for others in the server's memory.
   */
  reason: ("deleted" | "expired" | "evicted") | string;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  /**
   * The thread.
   */
  thread: string;
  type: "thread_gone";
}
/**
 * The subscription has ended; no frame of that ``sub`` follows, and the number may be used again.
 *
 * Server: sends it behind the terminal event (``end``), or when the run is deleted or the principal may not
 * see it any more.
 *
 * Client: does not subscribe again. If it saw few events, ``skipped`` says how many its filter held back.
 */
export interface Closed {
  /**
   * How many events were sent on this attachment.
   */
  delivered: number;
  /**
   * Why: the log has ended, was deleted, or may not be seen any more.
   */
  reason: "end" | "deleted" | "forbidden";
  /**
   * The last ``seq`` of the log.
   */
  seq?: number | undefined;
  /**
   * How many events its filter held back, by ``keys`` as well.
   */
  skipped: number;
  /**
   * The run's last status.
   */
  status?: "queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled" | undefined;
  /**
   * Chosen by the client; names a subscription on its connection.
   */
  sub: number;
  type: "closed";
}
/**
 * ``data`` of mode ``lifecycle``: the run's new status.
 */
export interface Lifecycle {
  /**
   * When the run took this status.
   */
  at: string;
  /**
   * 1, plus one for each takeover after a crash; an answer does not raise it.
   */
  attempt: number;
  /**
   * With a takeover: messages that the repeated step sends again, by the keys of their calls; the client drops what it has of them.
   */
  discard?: string[] | undefined;
  error?: Failure | undefined;
  /**
   * Why: the reason that ``cancel`` gave, or ``superseded``, ``expired``, ``shutdown`` and the like.
   */
  reason?: string | undefined;
  /**
   * The run's status from this event on.
   */
  status: "queued" | "running" | "interrupted" | "completed" | "failed" | "cancelled";
  /**
   * With a takeover: what the graph said behind this ``seq``, and before this event, is void in all modes; the repeated step says it again.
   */
  void_after?: number | undefined;
}
/**
 * ``data`` of mode ``messages``: a delta, or a whole message.
 */
export interface MessageData {
  /**
   * The key of the call of a model that it belongs to, unique in the log; deltas add up by it. Left out, it is ``id``.
   */
  call?: string | undefined;
  /**
   * The chunk's fields that are not empty; deltas add up. Its ``id`` is the chunk's own, if that is not the message's.
   */
  delta?: {
    [k: string]: unknown;
  } | undefined;
  /**
   * The node failed and begins again: the client drops what it has of the call. ``delta`` is empty.
   */
  discard?: true | undefined;
  /**
   * The message's id, as far as it is known; the last delta names the one that the state has.
   */
  id: string;
  /**
   * A whole message.
   */
  message?: {
    [k: string]: unknown;
  } | undefined;
}
/**
 * ``data`` of mode ``interrupt``: all pending interrupts, each once; none at a static breakpoint.
 */
export interface Interrupts {
  /**
   * The pending interrupts.
   */
  interrupts: PendingInterrupt[];
}
