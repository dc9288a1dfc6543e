"""What lives as long as the server is opened and closed on its runner's loop, by one task.

About `gateway/graphwire_gateway/graphs/lifespan.py`.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from graphwire_gateway.graphs.lifespan import Lifespan
from graphwire_gateway.graphs.runner import InlineRunner, Runner, ThreadRunner


@pytest.fixture(params=["inline", "thread"])
async def runner(request: pytest.FixtureRequest) -> AsyncIterator[Runner]:
    runner = InlineRunner() if request.param == "inline" else ThreadRunner("test")
    yield runner
    await runner.close(1)


class Resource:
    """Notes the task and the thread in which it is opened and closed."""

    def __init__(self, fails: BaseException | None = None) -> None:
        self.seen: list[tuple[str, Any, int]] = []
        self._fails = fails

    def _note(self, what: str) -> None:
        self.seen.append((what, asyncio.current_task(), threading.get_ident()))

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[str]:
        self._note("opened")
        yield "the resource"
        self._note("closed")
        if self._fails is not None:
            raise self._fails

    @property
    def story(self) -> list[str]:
        return [what for what, _, _ in self.seen]


def entering(*resources: Resource, fails: BaseException | None = None) -> Callable[[AsyncExitStack], Any]:
    async def enter(stack: AsyncExitStack) -> str:
        for resource in resources:
            value = await stack.enter_async_context(resource.opened())
        if fails is not None:
            raise fails
        return value

    return enter


async def test_one_task_opens_and_closes_on_the_runner_s_loop(runner: Runner) -> None:
    resource, lifespan = Resource(), Lifespan(runner)
    assert await lifespan.open(entering(resource)) == "the resource"
    assert resource.story == ["opened"]
    await lifespan.close(5)
    assert resource.story == ["opened", "closed"]
    (_, opener, there), (_, closer, also_there) = resource.seen
    assert opener is closer
    assert there == also_there
    assert (there == threading.get_ident()) == isinstance(runner, InlineRunner)


async def test_what_is_open_is_closed_when_the_rest_fails(runner: Runner) -> None:
    resource, lifespan = Resource(), Lifespan(runner)
    with pytest.raises(ValueError, match="no database"):
        await lifespan.open(entering(resource, fails=ValueError("no database")))
    assert resource.story == ["opened", "closed"]
    await lifespan.close(5)


async def test_an_exit_while_opening_is_a_failure_and_ends_no_process(runner: Runner) -> None:
    lifespan = Lifespan(runner)
    with pytest.raises(SystemExit):
        await lifespan.open(entering(Resource(), fails=SystemExit(3)))
    await lifespan.close(5)


async def test_a_failure_while_closing_is_logged(runner: Runner, caplog: pytest.LogCaptureFixture) -> None:
    resource, lifespan = Resource(fails=ConnectionError("the pool is gone")), Lifespan(runner)
    await lifespan.open(entering(resource))
    await lifespan.close(5)
    assert "the pool is gone" in caplog.text


async def test_what_was_never_opened_needs_no_closing(runner: Runner) -> None:
    await asyncio.wait_for(Lifespan(runner).close(60), 5)


async def test_what_does_not_close_is_left_behind_in_time(runner: Runner) -> None:
    release = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    @asynccontextmanager
    async def stuck() -> AsyncIterator[None]:
        loops.append(asyncio.get_running_loop())
        yield
        await release.wait()

    async def enter(stack: AsyncExitStack) -> None:
        await stack.enter_async_context(stuck())

    lifespan = Lifespan(runner)
    await lifespan.open(enter)
    await asyncio.wait_for(lifespan.close(0.01), 5)
    loops[0].call_soon_threadsafe(release.set)
    await lifespan.close(5)
