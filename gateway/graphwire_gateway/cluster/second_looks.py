"""Second looks for runs that were not where they were known to be: they may have begun anew elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from graphwire_gateway.failures import Failures


class SecondLooks:
    """Those for the requests of one client, one after the other, so that these keep their order."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._tasks: dict[asyncio.Task[None], set[str | int]] = {}
        self._turns = asyncio.Lock()

    def begin(self, look: Callable[[], Awaitable[None]], names: Collection[str | int]) -> None:
        """Do ``look`` soon. ``names`` are the run and the subscription that it is about."""
        task = asyncio.ensure_future(self._do(look))
        self._tasks[task] = set(names)
        task.add_done_callback(self._tasks.pop)

    async def _do(self, look: Callable[[], Awaitable[None]]) -> None:
        async with self._turns:
            try:
                await look()
            except Exception as error:
                self._failures.internal(error, "looking for a run")

    async def done(self, names: Collection[str | int | None]) -> None:
        """Wait until none is under way that is about one of these."""
        while tasks := [task for task, about in self._tasks.items() if about & {*names} and not task.done()]:
            await asyncio.wait(tasks)

    def cancel(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()

    async def ended(self) -> None:
        """Wait until none is under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
