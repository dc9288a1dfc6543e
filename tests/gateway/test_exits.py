"""Code of a graph that exits on the application's loop does not end that loop, whoever made the task.

About `gateway/graphwire_gateway/graphs/exits.py`.
"""

import asyncio
import inspect
import sys
from typing import Any

import pytest
from graphwire_gateway.graphs.exits import Exited, cause_of
from graphwire_gateway.graphs.runner import InlineRunner


def _in_new_loop(main: Any) -> Any:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


async def _exit() -> None:
    await asyncio.sleep(0)
    sys.exit(3)


async def _interrupt() -> None:
    raise KeyboardInterrupt("c")


@pytest.mark.parametrize(("code", "kind"), [(_exit, SystemExit), (_interrupt, KeyboardInterrupt)])
def test_a_task_that_a_job_makes_passes_its_exit_on(code: Any, kind: type[BaseException]) -> None:
    async def job() -> BaseException:
        task = asyncio.get_running_loop().create_task(code())
        with pytest.raises(Exited) as raised:
            await task
        return cause_of(raised.value)

    async def main() -> BaseException:
        runner = InlineRunner()
        error = await runner.ask(job)
        await runner.close(1)
        return error

    assert type(_in_new_loop(main)) is kind


def test_an_exit_that_nobody_awaits_and_one_of_the_job_itself_end_nothing() -> None:
    stray: list[asyncio.Task[None]] = []

    async def job() -> None:
        stray.append(asyncio.get_running_loop().create_task(_exit()))
        await asyncio.wait(stray)
        sys.exit(4)

    async def main() -> str:
        runner = InlineRunner()
        with pytest.raises(RuntimeError, match="SystemExit"):
            await runner.ask(job)
        await runner.close(1)
        return type(stray[0].exception()).__name__

    assert _in_new_loop(main) == "Exited"


def test_the_application_s_own_tasks_are_made_as_before() -> None:
    guarded: dict[str, bool] = {}

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        guarded[coroutine.__name__] = not inspect.iscoroutine(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def own() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        runner = InlineRunner()
        await runner.ask(own)
        await loop.create_task(own())
        await runner.close(1)
        assert loop.get_task_factory() is factory

    _in_new_loop(main)
    assert guarded["answer"]
    assert not guarded["own"]
