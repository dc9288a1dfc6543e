"""The frames that a client sends.

Long because it is a list of frames, and most of it is the text that the reference prints. The union at its
end, ``Command``, needs all of them.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from graphwire_protocol.base import Input, InputObject, Many, Maybe, Wire
from graphwire_protocol.filters import Filter
from graphwire_protocol.types import Epoch, Mode, Name, RequestId, Seq, Status, SubId, Uint

UNSERVED = frozenset({"auth"})
"""Frame types that the protocol reserves and this version does not serve: they are ``unsupported``."""


class Product(Wire):
    """A program's name and version."""

    name: Annotated[str, Field(max_length=128)]
    """The program's name."""
    version: Annotated[str, Field(max_length=128)]
    """Its version."""


class Position(Wire):
    """A cursor: delivery begins after event ``seq`` of the log's incarnation ``epoch``."""

    epoch: Epoch
    seq: Seq


Search: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]
"""A part of a thread's title."""

From: TypeAlias = Literal["start", "now", "snapshot"] | Position


class Hello(Wire):
    """The first frame of a connection: it says who the client is and what it understands.

    Client: sends it first, within ``hello_timeout_s``; further frames may follow in the same flight without
    waiting.

    Server: handles frames in order and answers ``welcome``. A refused token gets ``error unauthenticated``
    and close 4401.

    Misuse: another frame first closes with 4400, silence with 4408; a second ``hello`` is
    ``invalid_argument``.
    """

    type: Literal["hello"] = "hello"
    id: RequestId
    token: Maybe[Annotated[str, Field(max_length=65536)]] = None
    """The credential, if the server asks for one. It is never part of a URL."""
    client: Maybe[Product] = None
    """The client program; for logs."""
    features: Maybe[Many[str]] = None
    """The optional parts that the client understands; see ``welcome.features``."""


class Spec(Wire):
    """A subscription to a run: its number, its filter, and where delivery begins."""

    sub: SubId
    filter: Filter
    """Which events."""
    from_: Annotated[From, Field(alias="from")] = "start"
    """Where delivery begins: at the log's first event, with new events only, with a snapshot of the head, or
    after a cursor.
    """
    credit: Maybe[Uint] = None
    """How many events the server may send before ``credit`` frames add more; 0 is legal. Left out, there is
    no limit but the socket's own pace.
    """
    values: Literal["full", "patch"] = "full"
    """``patch``: states of mode ``values`` are sent as differences, if ``welcome.features`` has ``patch``."""


class GraphCommand(Wire):
    """A command as the run's input, instead of an ``input``: LangGraph's ``Command``."""

    resume: Input = None
    """The answer to the graph's interrupt."""
    update: Input = None
    """An update of the state."""
    goto: Input = None
    """The next nodes: a name, ``{"node", "arg"}`` for LangGraph's ``Send``, or a list of both. A ``Send`` may
    have a ``timeout``: seconds, or an object of ``run_timeout``, ``idle_timeout`` and ``refresh_on``.
    """


class RunConfig(Wire):
    """The part of LangGraph's config that a client may set."""

    tags: Maybe[Many[str]] = None
    """Tags for every call in the run."""
    metadata: Maybe[InputObject] = None
    """Metadata for the graph's own tracing."""
    configurable: Maybe[InputObject] = None
    """Settings that the graph's code reads. Keys that the server sets (``thread_id``, ``checkpoint_*`` and
    more) are refused.
    """
    recursion_limit: Maybe[Annotated[int, Field(ge=1, le=2**31)]] = None
    """How many supersteps the run may take."""
    max_concurrency: Maybe[Annotated[int, Field(ge=1, le=2**31)]] = None
    """How many tasks may run at once."""
    run_name: Maybe[str] = None
    """A name for tracing."""


class RunOptions(Wire):
    """Options of the graph's ``astream``."""

    interrupt_before: Maybe[Many[str] | Literal["*"]] = None
    """Nodes to pause before; ``*`` is all."""
    interrupt_after: Maybe[Many[str] | Literal["*"]] = None
    """Nodes to pause after; ``*`` is all."""
    output_keys: Maybe[Many[str] | str] = None
    """State keys of the output."""
    durability: Maybe[Literal["sync", "async", "exit"]] = None
    """When checkpoints are written."""
    version: Maybe[Literal["v1", "v2"]] = None
    """LangGraph's version of the stream. With ``v2`` states of dataclasses and pydantic models are recorded
    as the class makes them, with its defaults."""


class RecordOptions(Wire):
    """What the log records beyond what the run's first subscriptions ask for."""

    modes: Maybe[Many[Mode]] = None
    """Modes to record."""
    subgraphs: Maybe[bool] = None
    """Whether to record events of subgraphs."""


class Run(Wire):
    """Start a run, or find it again by its id; attach every spec of ``subscribe`` before the first event.

    Client: chooses ``run`` itself, so that the frame can be sent again: the second one finds the run of the
    first. ``cancel`` may follow in the same flight.

    Server: checks every spec and option first, and starts nothing if one is wrong; answers ``started``, then
    one ``subscribed`` for each spec in their order, with the same ``id``. For an id that exists it answers
    ``started`` with ``created: false``, whatever the ``input``, and attaches the specs.

    Misuse: ``input`` and ``command`` together, ``checkpoint`` without ``thread``, a ``thread`` for a graph
    that can have no checkpointer, or server's keys in ``configurable``, are ``invalid_argument``; a known id
    with another ``graph`` or ``thread`` is ``conflict``; a thread that has a run is ``busy``; a
    ``checkpoint`` that the thread does not have is ``not_found``.
    """

    type: Literal["run"] = "run"
    id: RequestId
    graph: Annotated[str, Field(min_length=1, max_length=256)]
    """The graph's name, as in ``list``."""
    input: Input = None
    """The graph's input."""
    command: Maybe[GraphCommand] = None
    """A command to start with instead of an input."""
    run: Maybe[Name] = None
    """The run's id; left out, the server chooses one."""
    thread: Maybe[Name] = None
    """The thread: the conversation that a checkpointer keeps across runs."""
    checkpoint: Maybe[Name] = None
    """The checkpoint of the thread to start from."""
    config: Maybe[RunConfig] = None
    """The part of LangGraph's config that a client may set."""
    context: Input = None
    """The graph's runtime context."""
    options: Maybe[RunOptions] = None
    """Options of the graph's ``astream``."""
    if_busy: Literal["reject", "enqueue", "interrupt"] = "reject"
    """What to do if the thread has a run: refuse, wait ``queued``, or cancel that run first."""
    on_disconnect: Literal["continue", "cancel"] = "continue"
    """``cancel``: the run is cancelled when this connection has been gone for ``disconnect_grace_s`` and no
    subscription to the run is open.
    """
    metadata: Maybe[InputObject] = None
    """Stored with the run; lists and watches can match it."""
    record: Maybe[RecordOptions] = None
    """What the log records beyond what ``subscribe`` asks for."""
    subscribe: Many[Spec] = ()
    """Subscriptions to attach before the run's first event."""

    @model_validator(mode="after")
    def _starts_with_one(self) -> "Run":
        if self.input is not None and self.command is not None:
            raise PydanticCustomError(
                "input_and_command", "a run starts with an input or a command, not both"
            )
        if self.checkpoint is not None and self.thread is None:
            raise PydanticCustomError("checkpoint_alone", "a checkpoint is one of a thread; name it, too")
        return self


class Subscribe(Spec):
    """Attach to a run's log: replay from a cursor, then live.

    Client: after a lost connection, sends one for each subscription, from its cursor, in the same flight as
    ``hello``.

    Server: answers ``subscribed`` before the subscription's first event, then delivers what the filter in
    force admits.

    Misuse: a ``sub`` in use is ``conflict``; an unknown run ``not_found``; a filter that is not understood
    completely ``invalid_filter``; a mode that the run does not record ``unsupported``.
    """

    type: Literal["subscribe"] = "subscribe"
    id: RequestId
    run: Name
    """The run to follow."""


class Watch(Wire):
    """Follow the states of all runs or threads that match: states, not events. A watch keeps none of them
    alive.

    Client: watches again after a lost connection; a ``run_info`` that it has seen before is harmless. What
    the new list does not name is gone, or does not match any more, unless the list was cut.

    Server: answers ``subscribed``, then sends a ``run_info`` for each run that matches now, newest first and
    at most ``max_watch_runs``, then ``synced``. After that it sends one for every new run that matches and
    for every change of status, including the change by which a run stops matching; and ``run_gone`` for a run
    that matched at some time and is forgotten. With ``what: "threads"`` these are ``thread_info``, one for
    each change of the row, and ``thread_gone``.

    Misuse: a ``sub`` in use is ``conflict``; ``progress`` of threads and ``search`` of runs are
    ``invalid_argument``.
    """

    type: Literal["watch"] = "watch"
    id: RequestId
    sub: SubId
    graphs: Maybe[Many[str]] = None
    """Only runs or threads of these graphs."""
    thread: Maybe[Name] = None
    """Only runs of this thread, or this thread itself."""
    status: Maybe[Many[Status]] = None
    """Only runs or threads in one of these statuses."""
    metadata: Maybe[InputObject] = None
    """Only runs or threads whose metadata has all of these."""
    progress: Maybe[bool] = None
    """Whether to report how far the runs are: a ``run_info`` with the new ``head`` for each run whose log
    grows, at most once a second for each. Servers of 1.0 ignore it. For runs only.
    """
    what: Maybe[Literal["runs", "threads"]] = None
    """What to follow; left out, runs. ``threads`` needs ``threads`` in ``welcome.features``: other servers
    ignore the field and send runs.
    """
    search: Maybe[Search] = None
    """Only threads whose title has this text, as in ``list``."""

    @model_validator(mode="after")
    def _asks_what_there_is(self) -> "Watch":
        if self.what == "threads":
            if self.progress:
                raise PydanticCustomError("progress_of_threads", "progress is for a watch of runs")
        elif self.search is not None:
            raise PydanticCustomError("search_of_runs", "search is for a watch of threads")
        return self


class Unsubscribe(Wire):
    """Detach: no frame of that ``sub`` follows the reply, and the number may be used again.

    Client: frames of that ``sub`` may arrive until the reply. A ``subscribe`` with the same ``sub`` may be
    sent right behind this frame.

    Server: answers ``ok``. The run continues.

    Misuse: a ``sub`` that is not open is ``not_found``; it may have closed by itself meanwhile.
    """

    type: Literal["unsubscribe"] = "unsubscribe"
    id: RequestId
    sub: SubId


class Credit(Wire):
    """Let the server send ``events`` more events on ``sub``.

    Client: sends it as its application takes events, preferably half a window at once.

    Server: adds it. There is no reply. An unknown ``sub`` is ignored, because it may just have closed.
    """

    type: Literal["credit"] = "credit"
    sub: SubId
    events: Uint
    """How many more events."""


class Cancel(Wire):
    """Stop a run.

    Client: may send it at any time, even right behind ``run``, and more than once. The run has ended with its
    terminal event, not with the reply.

    Server: answers ``ok`` with the current status. The log gets its terminal event within ``cancel_grace_s``,
    even if the graph's code does not react. What that code still produces is dropped, and the thread stays
    busy until the code has stopped.

    Misuse: an unknown run is ``not_found``. Cancelling a run that has ended is legal.
    """

    type: Literal["cancel"] = "cancel"
    id: RequestId
    run: Name
    """The run to stop."""
    reason: Maybe[Annotated[str, Field(max_length=1024)]] = None
    """Why; repeated in the terminal event."""


class Response(Wire):
    """The answer to one pending interrupt."""

    interrupt: Annotated[str, Field(min_length=1, max_length=128)]
    """The interrupt's id."""
    value: Input
    """What ``interrupt()`` returns in the graph; ``null`` is a value, too."""


class Respond(Wire):
    """Answer an interrupted run; it resumes in the same log.

    Client: names each interrupt by its id. At a static breakpoint nothing is asked, and ``responses`` is
    empty.

    Server: keeps answers until every pending interrupt has one, then resumes the run. With ``partial`` it
    resumes at once, and the graph asks again for what is missing. Answers ``ok`` with the status: ``running``
    if the run resumes, ``interrupted`` if it waits for more. With interrupts pending, empty ``responses``
    change nothing.

    Misuse: a run that is not interrupted, or an interrupt that has been answered, is ``conflict``: of two
    racing answers one wins. An interrupt that is not pending is ``not_found``; one that is named twice is
    ``invalid_argument``, as is an answer that does not fit its ``response_schema``. Each of these refuses the
    whole frame.
    """

    type: Literal["respond"] = "respond"
    id: RequestId
    run: Name
    """The run that asks."""
    responses: Many[Response]
    """The answers."""
    partial: bool = False
    """Whether to resume although some interrupts have no answer yet."""

    @model_validator(mode="after")
    def _answers_once(self) -> "Respond":
        if len({response.interrupt for response in self.responses}) < len(self.responses):
            raise PydanticCustomError("answered_twice", "each interrupt has one answer")
        return self


class Result(Wire):
    """Ask for what ``invoke`` would return.

    Client: asks when it has seen the run end, or at any other time.

    Server: answers ``ok`` with ``status``, and with ``output`` once the run is ``completed``, until
    ``result_ttl_s`` after its end. An output larger than ``max_event_bytes`` is ``too_large``.

    Misuse: an unknown or forgotten run is ``not_found``.
    """

    type: Literal["result"] = "result"
    id: RequestId
    run: Name
    """The run."""


class ThreadRequest(Wire):
    """What the requests for a thread's state have in common."""

    id: RequestId
    graph: Annotated[str, Field(min_length=1, max_length=256)]
    """The graph whose thread it is."""
    thread: Name
    """The thread."""
    checkpoint: Maybe[Name] = None
    """A checkpoint of its history; left out, the latest."""
    ns: Maybe[Many[str]] = None
    """The path of a subgraph, as events have it; left out, the root."""


class State(ThreadRequest):
    """Ask for a thread's state: LangGraph's ``get_state``.

    Client: may ask while a run writes the thread; the answer is the last checkpoint.

    Server: answers ``ok`` with ``values``, ``next``, ``tasks``, ``interrupts``, ``config`` and, if there
    is a checkpoint, ``metadata``, ``created_at`` and ``parent_config``. A thread that has never been written
    has no values, and ``next`` is empty. Values larger than ``max_event_bytes`` are ``too_large``: ask with
    ``keys``. Of the rest, what is too large is cut.

    Misuse: an unknown graph or checkpoint is ``not_found``; a graph that can have no checkpointer is
    ``invalid_argument``.
    """

    type: Literal["state"] = "state"
    keys: Maybe[Many[str]] = None
    """Only these keys of ``values``."""
    subgraphs: bool = False
    """Whether ``tasks`` include the states of subgraphs that wait."""


class StateHistory(ThreadRequest):
    """Ask for a thread's states, the newest first: LangGraph's ``get_state_history``.

    Client: gets the next page with the ``cursor`` of the reply as ``before``.

    Server: answers ``ok`` with ``states``. A page that would be larger than ``max_event_bytes`` ends early,
    but not before its first state, whose largest keys are cut if it does not fit. ``cursor`` says that there
    are more; before 1.1 there is none, and a page is the last if it has fewer states than ``limit``.

    Misuse: as of ``state``.
    """

    type: Literal["state_history"] = "state_history"
    keys: Maybe[Many[str]] = None
    """Only these keys of ``values``."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """States in one page."""
    before: Maybe[Name] = None
    """Only states before this checkpoint."""
    metadata: Maybe[InputObject] = None
    """Only checkpoints whose metadata has all of these."""


class StateUpdate(ThreadRequest):
    """Write into a thread's state as a node would: LangGraph's ``update_state``.

    Client: names an earlier ``checkpoint`` to branch from it, and starts a run from the one in ``config``.

    Server: writes a new checkpoint and answers ``ok`` with its ``config``.

    Misuse: as of ``state``; while a run writes the thread it is ``busy``; what the graph refuses, such as an
    ambiguous ``as_node``, is ``invalid_argument``.
    """

    type: Literal["state_update"] = "state_update"
    values: Input
    """The update, as a node returns it; ``null`` writes nothing."""
    as_node: Maybe[Annotated[str, Field(min_length=1, max_length=256)]] = None
    """The node in whose name to write; left out, the node that wrote last, if there is only one."""
    task: Maybe[Name] = None
    """The task in whose name to write, if the node has several."""


class ThreadUpdate(Wire):
    """Set metadata of a thread: a title, an owner, tags, whatever the application keeps there.

    Client: sends the keys that change, with ``null`` for a key to remove. Needs ``threads`` in
    ``welcome.features``.

    Server: merges ``metadata`` key by key, at any time, whether or not a run uses the thread; of two clients
    that set one key, the later wins. Answers ``ok`` with the ``thread`` as it is then. A thread that is not
    known exists from then on, without a run. Metadata lives in the server's memory: it is gone after a
    restart, even if a database keeps the thread, and when the server's saver in memory lets the thread go.

    Misuse: an unknown graph is ``not_found``; a graph that can have no checkpointer is ``invalid_argument``;
    metadata that would exceed ``max_metadata_bytes``, or what the principal may keep (``store_bytes``), is
    ``limit_exceeded``; a thread that is being deleted is ``busy``. Each changes nothing.
    """

    type: Literal["thread_update"] = "thread_update"
    id: RequestId
    graph: Annotated[str, Field(min_length=1, max_length=256)]
    """The graph whose thread it is."""
    thread: Name
    """The thread."""
    metadata: InputObject
    """What to set, by key; ``null`` removes a key."""


class Delete(Wire):
    """Delete a run, or a thread with its runs, checkpoints and metadata.

    Client: names ``run``, or ``graph`` and ``thread``.

    Server: answers ``ok`` when logs, results and checkpoints are gone; viewers get ``closed`` with reason
    ``deleted``. An interrupted run is cancelled first.

    Misuse: an unknown run or thread is ``not_found``; while a run is running or queued it is ``conflict``.
    """

    type: Literal["delete"] = "delete"
    id: RequestId
    run: Maybe[Name] = None
    """The run to delete; its thread stays."""
    graph: Maybe[Annotated[str, Field(min_length=1, max_length=256)]] = None
    """The graph of the thread to delete."""
    thread: Maybe[Name] = None
    """The thread to delete."""

    @model_validator(mode="after")
    def _deletes_one(self) -> "Delete":
        whole = (self.run is not None, self.graph is not None, self.thread is not None)
        if whole not in ((True, False, False), (False, True, True)):
            raise PydanticCustomError("run_or_thread", "name a run, or a graph and a thread")
        return self


class List(Wire):
    """Ask for rows: graphs, this principal's runs, or its threads, newest first.

    Client: sends the ``cursor`` of the reply to get the next page; the last page has none.

    Server: answers ``ok`` with the rows under the name of ``what``. A page that would be larger than
    ``max_event_bytes`` ends early, with a ``cursor``.

    Misuse: ``search`` of runs or graphs is ``invalid_argument``. Servers without ``threads`` in
    ``welcome.features`` ignore ``search``, and the ``metadata`` of threads.
    """

    type: Literal["list"] = "list"
    id: RequestId
    what: Literal["graphs", "runs", "threads"]
    """The kind of rows."""
    graph: Maybe[str] = None
    """Only rows of this graph."""
    thread: Maybe[Name] = None
    """Only rows of this thread."""
    status: Maybe[Many[Status]] = None
    """Only runs or threads in one of these statuses."""
    metadata: Maybe[InputObject] = None
    """Only runs or threads whose metadata has all of these."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """Rows in one page."""
    cursor: Maybe[Annotated[str, Field(max_length=1024)]] = None
    """The ``cursor`` of the page before."""
    search: Maybe[Search] = None
    """Only threads whose title has this text, in upper or lower case: the first 1,024 characters of the
    string ``metadata.title``.
    """

    @model_validator(mode="after")
    def _searches_threads(self) -> "List":
        if self.search is not None and self.what != "threads":
            raise PydanticCustomError("search_of_others", "search is for a list of threads")
        return self


class Ping(Wire):
    """A ping for browsers, which cannot send a WebSocket's own.

    Client: may send it at any time after ``hello``; it counts as a request.

    Server: answers ``pong`` with the same ``t``. It sends WebSocket pings of its own every ``heartbeat_s``.
    """

    type: Literal["ping"] = "ping"
    t: Input
    """Any value; it comes back."""


Command: TypeAlias = Annotated[
    Hello
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
    | Ping,
    Field(discriminator="type"),
]
"""Every frame that a client may send."""

Request: TypeAlias = (
    Hello
    | Run
    | Subscribe
    | Watch
    | Unsubscribe
    | Cancel
    | Respond
    | Result
    | List
    | State
    | StateHistory
    | StateUpdate
    | ThreadUpdate
    | Delete
)
"""The commands that have an ``id`` and get exactly one reply."""
