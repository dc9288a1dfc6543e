"""The saved side of a run: `Thread` turns it into checkpoints, and back.

A checkpoint is the values of the state and of the channels that schedule nodes, each with a version, and
which versions each node has seen: the layout of the langgraph-checkpoint package, so that its savers keep it
unchanged. What tasks of an unfinished superstep have written stands beside it, as `writes` puts it. A thread
only queues what is to be saved; reading and writing is `saving`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphwire_runtime.clock import checkpoint_id, timestamp
from graphwire_runtime.plan.channels import fold
from graphwire_runtime.plan.schema import Pairs
from graphwire_runtime.step.writes import (
    BRANCH,
    ERROR,
    HANDLED,
    NOBODY,
    RESUME,
    SENDS,
    packed,
    path_of,
    sent,
    unpacked,
    writes_of,
)
from graphwire_runtime.stream.display import interrupt_data
from graphwire_runtime.stream.outlet import INTERRUPT
from graphwire_runtime.types import START, Send

if TYPE_CHECKING:
    from graphwire_runtime.drive.loop import Run
    from graphwire_runtime.plan.config import Settings
    from graphwire_runtime.step.task import Task

__all__ = ["Thread"]

FORMAT = 4


class Thread:
    """Where one run's checkpoints go, and which one it stands at.

    Args:
        saver: anything of langgraph-checkpoint's `BaseCheckpointSaver` family.
        durability: "sync", "async" or "exit".
        settings: the run's config; its metadata is stored with every checkpoint.
        namespace: which graph of the thread, "" for the outermost.
        asked: the id of the checkpoint to start from, None for the latest.
        parents: the checkpoints that the graphs around this one stand at, by their namespaces.
    """

    def __init__(
        self,
        saver: Any,
        durability: str,
        settings: Settings,
        namespace: str,
        asked: str | None,
        parents: Mapping[str, str],
    ) -> None:
        self.saver = saver
        self.durability = durability
        self.id = settings.configurable["thread_id"]
        self.namespace = namespace
        self.asked = asked
        self.parents = dict(parents)
        self.saved: Any = None
        self.checkpoint: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.config: dict[str, Any] | None = None
        self.parent_config: dict[str, Any] | None = None
        self.pending: list[tuple[str, str, Any]] = []
        self.queue: list[tuple[Any, ...]] = []
        self._settings = settings
        self._versions: dict[str, Any] = {}
        self._seen: dict[str, dict[str, Any]] = {}
        self._schedule: dict[str, Any] = {}
        self._dirty: set[str] = set()
        self._notes: dict[str, tuple[list[tuple[str, Any]], str]] = {}
        self._kept: dict[str, Any] = {}
        self._unsaved = False

    # ---- from the saver

    def location(self) -> dict[str, Any]:
        """The config under which the saver finds the checkpoint to start from."""
        place = {"thread_id": self.id, "checkpoint_ns": self.namespace}
        if self.asked is not None:
            place["checkpoint_id"] = self.asked
        return {"configurable": {**self._settings.configurable, "checkpoint_id": None, **place}}

    def load(self, saved: Any) -> None:
        """Stand at a checkpoint that the saver gave, None where there is none."""
        self.saved = saved
        if saved is None:
            return
        self.checkpoint = saved.checkpoint
        self.metadata = dict(saved.metadata)
        self.config = self._at(saved.config["configurable"]["checkpoint_id"])
        self.parent_config = saved.parent_config
        if self.parents and saved.parent_config is not None:
            parent = saved.parent_config["configurable"]
            where = {**self.parents, self.namespace: parent["checkpoint_id"]}
            self.parent_config = {"configurable": {**parent, "checkpoint_map": where}}
        self.pending = list(saved.pending_writes or ())
        self._versions = dict(saved.checkpoint["channel_versions"])
        self._kept = dict(self._versions)
        self._seen = {name: dict(seen) for name, seen in saved.checkpoint["versions_seen"].items()}

    @property
    def step(self) -> int:
        """The superstep after which the present checkpoint was made; -2 where there is none."""
        return int(self.metadata.get("step", -2))

    def restore(self, run: Run, *, jumps: bool = True) -> None:
        """Give the run the state and the schedule of the checkpoint, and what Commands wrote that resumed it.

        Without `jumps` only what they wrote to the state.
        """
        values = self.checkpoint.get("channel_values") or {}
        plan = run.plan
        run.values.update((key, values[key]) for key in plan.channels if key in values)
        self._schedule = {key: value for key, value in values.items() if key not in plan.channels}
        for node in plan.nodes.values():
            for trigger in node.triggers:
                if trigger not in values:
                    continue
                value, finished = values[trigger], True
                if node.defer and isinstance(value, (list, tuple)) and len(value) == 2:
                    value, finished = value
                if trigger in plan.joins:
                    arrived = set(value or ())
                    if arrived:
                        run.schedule.joined[trigger] = arrived
                    if not arrived >= plan.joins[trigger].sources:
                        continue
                    run.schedule.fired.add(trigger)
                if self._is_new(trigger, node.name):
                    (run.schedule.triggered if finished else run.schedule.waiting).add(node.name)
        run.schedule.sends = [sent(send) for send in values.get(SENDS) or ()]
        if START in values and self._is_new(START, START):
            run.waiting_input = values[START]
        run.step = self.step
        run.seed = f"{self.namespace}:{self.checkpoint['id']}"
        for task_id, channel, value in self.pending:
            if not task_id.startswith(NOBODY):
                continue
            if channel in plan.channels:
                self.write(run, [(channel, unpacked(value))])
            elif jumps and channel.startswith(BRANCH):
                self.go(run, [channel.removeprefix(BRANCH)], ())
            elif jumps and channel == SENDS:
                self.go(run, (), [sent(value)])

    def write(self, run: Run, pairs: Pairs) -> None:
        """Write to the state between two supersteps; the next checkpoint will hold it."""
        fold(run.plan.channels, run.values, pairs)
        self._dirty.update(key for key, _ in pairs)

    def go(self, run: Run, gotos: Iterable[str], sends: Iterable[Send]) -> None:
        """Schedule nodes between two supersteps."""
        for name in gotos:
            run.schedule.trigger(name)
            self._schedule[f"{BRANCH}{name}"] = None
        run.schedule.sends += sends

    # ---- to the saver

    def copy(self, run: Run, source: str, step: int, *, beside: bool = False) -> None:
        """Make a checkpoint that has the same to run next as the present one, and stand at it.

        It comes after that one, or, with `beside`, after the same one as that.
        """
        if beside:
            self.config = self.parent_config
        self._commit(run, source, step, (), dict(self._schedule), set())

    def commit(self, run: Run, source: str, step: int, tasks: Sequence[Task]) -> None:
        """Make the checkpoint after a superstep whose tasks were these, and stand at it."""
        plan = run.plan
        touched = {
            f"{BRANCH}{name}"
            for task in tasks
            for name in (*(task.node.edges if task.follows_edges else ()), *task.gotos)
            if name in plan.nodes
        }
        schedule = self._scheduled(run, touched)
        touched.update(join.trigger for task in tasks for join in task.node.joins if task.follows_edges)
        if run.schedule.sends:
            touched.add(SENDS)
        self._commit(run, source, step, tasks, schedule, touched)

    def _commit(
        self,
        run: Run,
        source: str,
        step: int,
        tasks: Sequence[Task],
        schedule: dict[str, Any],
        touched: set[str],
    ) -> None:
        seen, versions = self._seen, self._versions
        for task in tasks:
            looked_at = (START,) if task.node is run.plan.start else task.node.triggers
            seen[task.name] = {
                **seen.get(task.name, {}),
                **{trigger: versions[trigger] for trigger in looked_at if trigger in versions},
            }
        changed = {key for task in tasks for key, _ in task.pairs} | self._dirty
        changed.update(key for key in schedule if key in touched or key not in self._schedule)
        changed.update(
            key for key, old in self._schedule.items() if key not in schedule or schedule[key] != old
        )
        version = self.saver.get_next_version(max(versions.values(), default=None), None)
        versions.update(dict.fromkeys(changed, version))
        self._schedule, self._dirty = schedule, set()
        new_id = checkpoint_id(step)
        self.checkpoint = {
            "v": FORMAT,
            "ts": timestamp(),
            "id": new_id,
            "channel_values": {
                **{key: value for key, value in run.values.items() if key in versions},
                **schedule,
            },
            "channel_versions": dict(versions),
            "versions_seen": {name: dict(looked) for name, looked in seen.items()},
            "updated_channels": sorted(changed & (schedule.keys() | run.plan.channels.keys())),
        }
        self.metadata = {"source": source, "step": step, "parents": self.parents}
        parent = None if self.config is None else self.config["configurable"]["checkpoint_id"]
        self.config = self._at(new_id)
        self.pending, self._notes = [], {}
        run.seed = f"{self.namespace}:{new_id}"
        if self.durability == "exit":
            self.parent_config = None
            self._unsaved = True
        else:
            self.parent_config = None if parent is None else self._at(parent)
            self._save(parent, {key: versions[key] for key in changed})

    def _scheduled(self, run: Run, touched: set[str]) -> dict[str, Any]:
        plan = run.plan
        schedule: dict[str, Any] = {}
        for name in (*run.schedule.triggered, *run.schedule.waiting):
            trigger = f"{BRANCH}{name}"
            deferred = plan.nodes[name].defer
            if trigger in touched or (deferred and trigger in self._schedule):
                schedule[trigger] = [None, name in run.schedule.triggered] if deferred else None
        for trigger in plan.joins:
            if trigger in run.schedule.joined or trigger in self._schedule:
                arrived, target = set(run.schedule.joined.get(trigger, ())), plan.joins[trigger].target
                deferred = plan.nodes[target].defer
                schedule[trigger] = [arrived, target in run.schedule.triggered] if deferred else arrived
        if run.schedule.sends or SENDS in self._schedule:
            schedule[SENDS] = [[send.node, send.arg] for send in run.schedule.sends]
        if run.waiting_input is not None:
            schedule[START] = run.waiting_input
        return schedule

    def finished(self, task: Task) -> None:
        """Keep what a task wrote, so that it need not run again if its superstep does not come to an end."""
        self._note(task.id, writes_of(task), path_of(task))

    def interrupted(self, task: Task) -> None:
        """Keep what a task asks."""
        self._note(
            task.id, [(INTERRUPT, [interrupt_data(asked) for asked in task.interrupts])], path_of(task)
        )

    def answered(self, task: Task) -> None:
        """Keep the answers that a task has had, for when it runs again."""
        self._note(task.id, [(RESUME, task.answers)], path_of(task))

    def failed(self, task: Task, error: BaseException, *, handled: bool = False) -> None:
        """Keep how a task failed, and whether another one is run in its place."""
        writes = [(ERROR, repr(error)), *([(HANDLED, task.name)] if handled else ())]
        self._note(task.id, writes, path_of(task))

    def commanded(self, pairs: Pairs, gotos: Sequence[str], sends: Sequence[Send]) -> None:
        """Keep what a Command that resumes the thread writes at this checkpoint."""
        writes = [
            *((key, packed(value)) for key, value in pairs),
            *((f"{BRANCH}{name}", None) for name in gotos),
            *((SENDS, [send.node, send.arg]) for send in sends),
        ]
        if writes:
            earlier = len({task_id for task_id, _, _ in self.pending if task_id.startswith(NOBODY)})
            self._note(f"{NOBODY}{earlier:012}", writes, "")

    def _note(self, task_id: str, writes: list[tuple[str, Any]], path: str) -> None:
        if self.durability == "exit":
            earlier = self._notes.get(task_id, ([], path))[0]
            kinds = {channel for channel, _ in writes}
            self._notes[task_id] = ([each for each in earlier if each[0] not in kinds] + writes, path)
        else:
            self.queue.append(("writes", self.config, writes, task_id, path))

    def close(self) -> None:
        """Queue what "exit" has put off until the run ends."""
        if self.durability != "exit":
            return
        if self._unsaved:
            self._unsaved = False
            parent = None if self.saved is None else self.saved.config["configurable"]["checkpoint_id"]
            self._save(
                parent,
                {key: new for key, new in self._versions.items() if self._kept.get(key) != new},
            )
        for task_id, (writes, path) in self._notes.items():
            self.queue.append(("writes", self.config, writes, task_id, path))
        self._notes = {}

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
        self.queue.append(("put", config, self.checkpoint, self.metadata, new_versions))

    def _at(self, checkpoint: str) -> dict[str, Any]:
        place: dict[str, Any] = {
            key: value
            for key, value in self._settings.configurable.items()
            if not key.startswith("checkpoint_")
        }
        place |= {"checkpoint_ns": self.namespace, "thread_id": self.id, "checkpoint_id": checkpoint}
        if self.parents:
            place["checkpoint_map"] = {**self.parents, self.namespace: checkpoint}
        return {"configurable": place}

    def _is_new(self, trigger: str, name: str) -> bool:
        version, seen = self._versions.get(trigger), self._seen.get(name, {}).get(trigger)
        return version is not None and (seen is None or bool(version > seen))
