"""`Checkpoints`: turns where a run stands into the checkpoints of a thread, and back.

A checkpoint holds the values of the state and of the channels that schedule nodes, a version for each, and
which versions each node has seen. This is the layout of the langgraph-checkpoint package, so its savers keep
it unchanged. The writes of an unfinished superstep are kept beside the checkpoint, in the form of
`step.writes`. Nothing here reads or writes storage: what is to be saved is queued, and `saving` carries it
out.

With durability "exit" most checkpoints are replaced before anybody saves or shows them. So a superstep only
notes what its checkpoint holds; whoever reads `checkpoint`, `metadata` or `config` has it made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from graphwire_runtime.clock import checkpoint_id, time, timestamp
from graphwire_runtime.errors import kept_text
from graphwire_runtime.plan.channels import fold
from graphwire_runtime.plan.config import Settings
from graphwire_runtime.plan.schema import Pairs
from graphwire_runtime.step.standing import Standing
from graphwire_runtime.step.task import Task
from graphwire_runtime.step.writes import (
    BRANCH,
    COMMAND_TASK_PREFIX,
    ERROR,
    HANDLED,
    RESUME,
    SENDS,
    kept_interrupt,
    kept_send,
    packed,
    sent,
    unpacked,
    writes_of,
)
from graphwire_runtime.thread.replay import Replay
from graphwire_runtime.thread.triggers import read_triggers, triggers_of
from graphwire_runtime.types import INTERRUPT, RETURN, START, Send

__all__ = ["Checkpoints"]

Writes = list[tuple[str, Any]]

FORMAT = 4
"""The version of the layout, as langgraph-checkpoint counts it."""


class Checkpoints:
    """The checkpoints of one run on a thread, and the one that it stands at.

    Args:
        saver: a saver of the langgraph-checkpoint family.
        durability: "sync", "async" or "exit".
        settings: the merged config; its metadata is stored with every checkpoint.
        namespace: which graph of the thread, "" for the outermost.
        asked: the id of the checkpoint to start from, None for the latest.
        parents: the ids of the checkpoints that the surrounding graphs stand at, by their namespaces.
        replay: of the surrounding run, None if it is none.
    """

    def __init__(
        self,
        saver: Any,
        durability: str,
        settings: Settings,
        namespace: str,
        asked: str | None,
        parents: Mapping[str, str],
        replay: Replay | None = None,
    ) -> None:
        self.saver = saver
        self.durability = durability
        self.id = settings.configurable["thread_id"]
        self.namespace = namespace
        self.asked = asked
        self.parents = dict(parents)
        self.replay = replay
        self.superseded = False
        """Whether the thread has a later checkpoint than the one that was asked for."""
        self.saved: Any = None
        """The saver's tuple that the run started from, None if the thread was empty."""
        self._checkpoint: dict[str, Any] = {}
        self._unmade: Callable[[], dict[str, Any]] | None = None  # makes the checkpoint, None if it is made
        self.metadata: dict[str, Any] = {}
        self._own_id: str | None = None
        """The id of the checkpoint, None if there is none."""
        self.parent_config: dict[str, Any] | None = None
        self.pending: list[tuple[str, str, Any]] = []
        """The writes kept beside the checkpoint: (task id, channel, value)."""
        self.queue: list[tuple[str, tuple[Any, ...]]] = []
        """Calls to make to the saver, in order: the method ("put" or "put_writes") and its arguments."""
        self._settings = settings
        self._versions: dict[str, Any] = {}
        self._seen: dict[str, dict[str, Any]] = {}
        self._schedule: dict[str, Any] = {}
        """The channels of the checkpoint that schedule nodes."""
        self._dirty: set[str] = set()
        """Keys written since the checkpoint was made, by no task."""
        self._notes: list[tuple[str, Callable[[], Writes], str]] = []
        """With "exit": the writes of tasks, which wait for the end: task id, writes, path."""
        self._kept: dict[str, Any] = {}
        """The versions that the saver has."""
        self._unsaved = False

    @property
    def checkpoint(self) -> dict[str, Any]:
        """The checkpoint, in the layout of the langgraph-checkpoint package; empty if there is none."""
        if self._unmade is not None:
            self._checkpoint, self._unmade = self._unmade(), None
        return self._checkpoint

    @property
    def config(self) -> dict[str, Any] | None:
        """The config that names the checkpoint, None if there is none."""
        return None if self._own_id is None else self._config_of(self._own_id)

    # ---- from the saver

    def location(self, *, latest: bool = False) -> dict[str, Any]:
        """The config under which the saver finds the checkpoint to start from, or the latest one."""
        asked = None if latest else self.asked
        own = {"thread_id": self.id, "checkpoint_ns": self.namespace, "checkpoint_id": asked}
        return {"configurable": {**self._settings.configurable, **own}}

    def bound(self) -> dict[str, Any] | None:
        """The config to look before, if a surrounding run is a replay; None otherwise. To be asked once."""
        if self.asked is not None or self.replay is None:
            return None
        before = self.replay.bound(self.namespace)
        return None if before is None else {"configurable": {"checkpoint_id": before}}

    def load(self, saved: Any) -> None:
        """Stand at the checkpoint that the saver returned, None if there is none."""
        self.saved = saved
        if saved is None:
            return
        self._checkpoint, self._unmade = saved.checkpoint, None
        self.metadata = dict(saved.metadata)
        self._own_id = saved.config["configurable"]["checkpoint_id"]
        self.parent_config = saved.parent_config
        if (parents := self.metadata.get("parents")) and saved.parent_config is not None:
            parent = saved.parent_config["configurable"]
            ids = {**parents, self.namespace: parent["checkpoint_id"]}
            self.parent_config = {"configurable": {**parent, "checkpoint_map": ids}}
        self.pending = list(saved.pending_writes or ())
        self._versions = dict(saved.checkpoint["channel_versions"])
        self._kept = dict(self._versions)
        self._seen = {name: dict(seen) for name, seen in saved.checkpoint["versions_seen"].items()}

    @property
    def step(self) -> int:
        """The superstep after which this checkpoint was made; -2 if there is none."""
        return int(self.metadata.get("step", -2))

    def restore(self, standing: Standing, *, jumps: bool = True) -> None:
        """Put the standing where the checkpoint is, and repeat what resuming Commands have written there.

        With `jumps=False` these only write to the state and schedule nothing.
        """
        values = self.checkpoint.get("channel_values") or {}
        plan = standing.plan
        standing.values.update((key, values[key]) for key in plan.channels if key in values)
        self._schedule = {key: value for key, value in values.items() if key not in plan.channels}
        read_triggers(standing, values, self._is_new)
        standing.step = self.step
        standing.planned = not self.checkpoint.get("updated_channels")
        self._identify(standing, self.checkpoint["id"])
        gotos, sends = [], []
        for task_id, channel, value in self.pending:
            if not task_id.startswith(COMMAND_TASK_PREFIX):
                continue
            if channel in plan.channels:
                self.write(standing, [(channel, unpacked(value))])
            elif channel.startswith(BRANCH):
                gotos.append(channel.removeprefix(BRANCH))
            elif channel == SENDS:
                sends.append(sent(value))
        if jumps:
            self.jump(standing, gotos, sends)

    def write(self, standing: Standing, pairs: Pairs) -> None:
        """Write to the state between two supersteps; the next checkpoint will hold it."""
        fold(standing.plan.channels, standing.values, pairs)
        self._dirty.update(key for key, _ in pairs)

    def jump(self, standing: Standing, gotos: Iterable[str], sends: Sequence[Send]) -> None:
        """Schedule nodes between two supersteps. Sends replace those that wait."""
        added: dict[str, Any] = {}
        for name in gotos:
            standing.schedule.trigger(name)
            added[f"{BRANCH}{name}"] = None
        if sends:
            standing.schedule.sends = list(sends)
            added[SENDS] = [kept_send(send, standing.plan.untracked) for send in sends]
        self._schedule = {**self._schedule, **added}
        self._dirty.update(added)

    # ---- to the saver

    def passed(self) -> None:
        """Note that a run has gone on from here; what follows is no longer a thread whose nodes never ran."""
        self._seen[INTERRUPT] = dict(self._versions)

    def copy(self, standing: Standing, source: str, step: int, *, beside: bool = False) -> None:
        """Make a checkpoint at which the same runs next as at this one, and stand at it.

        Its parent is this checkpoint or, with `beside`, the parent of this one.
        """
        if beside:
            named = {} if self.parent_config is None else self.parent_config["configurable"]
            self._own_id = named.get("checkpoint_id")
        self._commit(standing, source, step, (), dict(self._schedule), set(), ())

    def commit(
        self,
        standing: Standing,
        source: str,
        step: int,
        tasks: Sequence[Task],
        ran: Sequence[Task] | None = None,
    ) -> None:
        """Make the checkpoint after a superstep with these tasks, and stand at it.

        Args:
            standing: what to save.
            source: "input", "loop", "update" or "fork", for the metadata.
            step: the number of the superstep, for the metadata.
            tasks: all have ended.
            ran: those whose nodes have seen what made them run; all by default.
        """
        plan = standing.plan
        touched = {
            f"{BRANCH}{name}"
            for task in tasks
            for name in (*(task.node.edges if task.follows_edges else ()), *task.gotos)
            if name in plan.nodes
        }
        schedule = triggers_of(standing, touched, self._schedule)
        touched.update(join.trigger for task in tasks for join in task.node.joins if task.follows_edges)
        if standing.schedule.sends:
            touched.add(SENDS)
        self._commit(standing, source, step, tasks, schedule, touched, tasks if ran is None else ran)

    def _commit(
        self,
        standing: Standing,
        source: str,
        step: int,
        tasks: Sequence[Task],
        schedule: dict[str, Any],
        touched: set[str],
        ran: Sequence[Task],
    ) -> None:
        seen, versions, plan = self._seen, self._versions, standing.plan
        version = self.saver.get_next_version(max(versions.values(), default=None), None)
        for task in ran:
            looked_at = (START,) if task.node is plan.start else task.triggers
            seen[task.name] = {
                **seen.get(task.name, {}),
                **{trigger: versions[trigger] for trigger in looked_at if trigger in versions},
            }
        changed, before = {key for task in tasks for key, _ in task.pairs} | self._dirty, self._schedule
        changed.discard(RETURN)
        changed.update(key for key in schedule if key in touched or key not in before)
        changed.update(key for key, old in before.items() if key not in schedule or schedule[key] != old)
        # versions of what fades change with it, or a saver would give back the old value
        changed.update(plan.fading)
        versions.update(dict.fromkeys(changed, version))
        self._schedule, self._dirty = schedule, set()
        standing.planned = source in ("update", "fork")
        led = None if standing.planned else changed
        parent, self._own_id = self._own_id, checkpoint_id(step)
        values = {key: value for key, value in standing.values.items() if key not in plan.untracked}
        self._unmade = partial(self._made, self._own_id, time(), plan.channels, values, schedule, led)
        self.metadata = {"source": source, "step": step, "parents": self.parents}
        self.pending, self._notes = [], []
        self._identify(standing, self._own_id)
        if self.durability == "exit":
            self._unsaved = True
        else:
            self.parent_config = None if parent is None else self._config_of(parent)
            self._save(parent, {key: versions[key] for key in changed})

    def _made(
        self,
        id: str,
        at: float,
        channels: Mapping[str, Any],
        values: Mapping[str, Any],
        schedule: Mapping[str, Any],
        led: set[str] | None,
    ) -> dict[str, Any]:
        # Versions and what nodes have seen change with the next checkpoint only, which replaces this one.
        versions = self._versions
        return {
            "v": FORMAT,
            "ts": timestamp(at),
            "id": id,
            "channel_values": {
                **{key: value for key, value in values.items() if key in versions},
                **schedule,
            },
            "channel_versions": dict(versions),
            "versions_seen": {name: dict(looked) for name, looked in self._seen.items()},
            "updated_channels": None if led is None else sorted(led & (schedule.keys() | channels.keys())),
        }

    def finished(self, task: Task) -> None:
        """Keep what a task wrote, so that it need not run again if its superstep stays unfinished."""
        if self.durability == "exit":
            self._notes.append((task.id, partial(writes_of, task), task.path_key))
        else:
            self._note(task.id, writes_of(task), task.path_key)

    def interrupted(self, task: Task) -> None:
        """Keep the questions that stopped a task."""
        asked = [kept_interrupt(each) for each in task.interrupts]
        self._note(task.id, [(INTERRUPT, asked)], task.path_key)

    def answered(self, task_id: str, path: str, answers: Sequence[Any]) -> None:
        """Keep the answers that a task has taken, for when it runs again."""
        self._note(task_id, [(RESUME, answers)], path)

    def failed(self, task: Task, error: BaseException, *, handled: bool = False) -> None:
        """Keep how a task failed, and whether an error handler runs in its place."""
        writes = [(ERROR, kept_text(error)), *([(HANDLED, task.name)] if handled else ())]
        self._note(task.id, writes, task.path_key)

    def commanded(self, pairs: Pairs, gotos: Sequence[str], sends: Sequence[Send]) -> None:
        """Keep what a resuming Command writes at this checkpoint."""
        writes = [
            *((key, packed(value)) for key, value in pairs),
            *((f"{BRANCH}{name}", None) for name in gotos),
            *((SENDS, kept_send(send, ())) for send in sends),
        ]
        if writes:
            earlier = {id for id, _, _ in self.pending if id.startswith(COMMAND_TASK_PREFIX)}
            self._note(f"{COMMAND_TASK_PREFIX}{len(earlier):012}", writes, "")

    def _note(self, task_id: str, writes: Writes, path: str) -> None:
        if self.durability == "exit":
            self._notes.append((task_id, lambda: writes, path))
        else:
            self.queue.append(("put_writes", (self.config, writes, task_id, path)))

    def close(self, *, finished: bool) -> None:
        """End the run: with "exit", queue all that waited, but for a task's graph that has `finished`."""
        if self.durability != "exit" or (finished and ":" in self.namespace):
            return
        if self._unsaved:
            self._unsaved = False
            parent = None if self.saved is None else self.saved.config["configurable"]["checkpoint_id"]
            changed = {key: new for key, new in self._versions.items() if self._kept.get(key) != new}
            self._save(parent, changed)
        merged: dict[str, tuple[Writes, str]] = {}
        for task_id, noted, path in self._notes:
            writes = noted()
            kinds = {channel for channel, _ in writes}
            earlier = merged.get(task_id, ([], path))[0]
            merged[task_id] = ([each for each in earlier if each[0] not in kinds] + writes, path)
        for task_id, (writes, path) in merged.items():
            self.queue.append(("put_writes", (self.config, writes, task_id, path)))
        self._notes = []

    def _save(self, parent: str | None, new_versions: dict[str, Any]) -> None:
        settings = self._settings
        config = {
            "metadata": settings.metadata,
            "configurable": {
                **settings.configurable,
                "thread_id": self.id,
                "checkpoint_ns": self.namespace,
                "checkpoint_id": parent,
            },
        }
        self.queue.append(("put", (config, self.checkpoint, self.metadata, new_versions)))

    def _config_of(self, checkpoint: str) -> dict[str, Any]:
        configurable: dict[str, Any] = {
            key: value
            for key, value in self._settings.configurable.items()
            if key == "checkpoint_map" or not key.startswith("checkpoint_")
        }
        configurable |= {"checkpoint_ns": self.namespace, "thread_id": self.id, "checkpoint_id": checkpoint}
        if parents := self.metadata.get("parents"):
            configurable["checkpoint_map"] = {**parents, self.namespace: checkpoint}
        return {"configurable": configurable}

    def _identify(self, standing: Standing, checkpoint: str) -> None:
        standing.checkpoint_id = checkpoint
        standing.seed = bytes.fromhex(checkpoint.replace("-", ""))

    def _is_new(self, trigger: str, name: str) -> bool:
        version, seen = self._versions.get(trigger), self._seen.get(name, {}).get(trigger)
        return version is not None and (seen is None or bool(version > seen))
