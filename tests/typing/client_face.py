"""What a type checker makes of a client: connecting, starting, attaching, listing, errors."""

from typing import Any

import graphwire
from graphwire_protocol.types import Status
from typing_extensions import assert_type


async def fresh_token() -> str:
    return "t"


async def use() -> None:
    states: list[str] = []
    async with graphwire.connect(
        "ws://127.0.0.1:8765/ws",
        token=fresh_token,
        window=16,
        backoff=graphwire.Backoff(first_s=0.1),
        on_state=states.append,
        headers={"X-Tenant": "ann"},
        ssl=None,
        proxy=False,
        wait=30,
    ) as client:
        assert_type(client, graphwire.Client)
        run = await client.run(
            "joke",
            {"topic": "cats"},
            modes=["messages", "updates"],
            namespaces=[["**"]],
            tags=["joke"],
            exclude={"nodes": ["draft*"]},
            on_disconnect="cancel",
        )
        assert_type(run, graphwire.Run)
        assert_type(run.id, str)
        assert_type(run.position, int)
        assert_type(run.epoch, str | None)
        assert_type(run.interrupts, tuple[graphwire.Interrupt, ...])
        again = await client.attach(run.id, modes=["values"], start=("e1", 7))
        assert_type(again, graphwire.Run)
        await client.attach(run.id, start="snapshot")
        async for row in client.runs(status=["running"], limit=5):
            assert_type(row, graphwire.RunRow)
            assert_type(row.run, str)
        assert_type(await client.graphs(), list[graphwire.GraphRow])
        async for watched in client.watch(graphs=["joke"], progress=True):
            assert_type(watched, graphwire.RunRow | graphwire.RunGone)
            if watched.status == "gone":
                assert_type(watched, graphwire.RunGone)
            else:
                assert_type(watched, graphwire.RunRow)
                assert_type(watched.head, int)
        async for item in client.watch(synced=True):
            if isinstance(item, graphwire.WatchSynced):
                assert_type(item.cut, int)
            else:
                assert_type(item, graphwire.RunRow | graphwire.RunGone)
        async for thread in client.threads(graph="joke", status=["interrupted"], search="cats"):
            assert_type(thread, graphwire.ThreadRow)
        assert_type(await client.thread("joke", "t"), graphwire.ThreadRow | None)
        assert_type(await client.update_thread("joke", "t", {"title": "Cats"}), graphwire.ThreadRow)
        async for changed in client.watch_threads(graphs=["joke"], search="cats"):
            assert_type(changed, graphwire.ThreadRow | graphwire.ThreadGone)
            if changed.status == "gone":
                assert_type(changed, graphwire.ThreadGone)
            else:
                assert_type(changed.metadata, dict[str, Any] | None)
        async for entry in client.watch_threads(synced=True):
            assert_type(entry, graphwire.ThreadRow | graphwire.ThreadGone | graphwire.WatchSynced)
        state = await client.state("joke", "t", keys=["joke"])
        assert_type(state, graphwire.StateSnapshot)
        assert_type(state.tasks, tuple[graphwire.StateTask, ...])
        assert_type(state.checkpoint, str | None)
        async for past in client.state_history("joke", "t", before=state.checkpoint):
            assert_type(past.interrupts, tuple[graphwire.Interrupt, ...])
        assert_type(await client.update_state("joke", "t", {"joke": ""}, as_node="write"), dict[str, Any])
        await run.respond({"i1": True}, partial=True)
        await run.answer("yes")
        assert_type(await client.cancel(run.id, reason="enough"), Status | None)
        assert_type(await client.cancel(graph="joke", status=["running"]), list[str])
        assert_type(await client.respond(run.id, {"i1": True}, partial=True), Status | None)
        assert_type(await client.result(run.id), Any)
        await run.delete()
        await client.delete(graph="joke", thread="t")
        try:
            assert_type(await run.result(), Any)
        except graphwire.RunFailed as failed:
            assert_type(failed.code, str)
            assert_type(failed.error_id, str | None)
        except graphwire.RunLost as lost:
            assert_type(lost.thread, str | None)
        except graphwire.Refused as refused:
            assert_type(refused.after_s, float | None)


async def misuse(client: graphwire.Client) -> None:
    await client.run("joke", modes=["dreams"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await client.run("joke", on_disconnect="explode")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
