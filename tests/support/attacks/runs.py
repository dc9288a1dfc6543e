"""Runs that are large, many, or in the way of somebody else's."""

from tests.support.attacks.attack import OTHER, Attacker, Attacks, Report, ask_all, listed
from tests.support.peer import spec

RUNS: Attacks = {}


@listed(RUNS, grows_mib=300, keeps_mib=20)
async def inputs_of_ended_runs(server: Attacker) -> None:
    """Sixty runs begin with an input of 0.9 MB, and end; they are listed."""
    peer = await server.connect()
    await server.ready()
    text = ["x" * 9000] * 100
    for sub in range(1, 61):
        options = {"output_keys": ["n"]}  # else the result has the input in it
        await peer.run("echo", {"text": text}, spec(sub, "lifecycle"), options=options)
        await peer.closed(sub)
    for _ in range(20):
        await peer.ask(type="list", what="runs", limit=100)


@listed(RUNS, within_s=60)
async def inputs_of_many_parts(server: Attacker) -> None:
    """Three runs begin with an input of 0.7 MB that has 180,000 parts."""
    peer = await server.connect()
    await server.ready()
    text = [[number, "x"] for number in range(60_000)]
    for sub in range(1, 4):
        await peer.run("echo", {"text": text}, spec(sub, "lifecycle"))
        await peer.closed(sub)


@listed(RUNS, limits={"store_bytes": 32 << 20}, grows_mib=150, keeps_mib=100, within_s=40)
async def logs_of_running_runs(server: Attacker) -> None:
    """Thirty runs each write 10 MiB and stay, where the store may hold 32 MiB."""
    peer = await server.connect()
    await server.ready()
    for sub in range(1, 31):
        await peer.run(
            "events",
            {"n": 1000, "size": 10_000, "kind": "stays"},
            spec(sub, "custom", credit=0),
            run=f"r{sub}",
        )
    await server.stays(5)


@listed(RUNS, limits={"log_bytes": 1 << 20, "log_min_age_s": 0}, grows_mib=100, keeps_mib=70, within_s=40)
async def messages_that_merge(server: Attacker) -> None:
    """One run writes 500 messages of 0.5 MB, where its log may hold 1 MiB."""
    peer = await server.connect()
    await server.ready()
    await peer.run("speaker", {"n": 10, "size": 50_000, "times": 500}, spec(1, "messages", credit=0), run="r")
    await peer.ask(type="subscribe", run="r", **spec(2, "lifecycle", from_="now"))
    await peer.until(lambda frame: frame["type"] == "closed" and frame["sub"] == 2, 40)


@listed(RUNS, limits={"max_active_runs": 3})
async def runs_that_only_ask(server: Attacker) -> Report:
    """A principal whose active runs are limited keeps as many that wait for an answer, and starts others."""
    peer = await server.connect()
    await server.ready()
    for sub in range(1, 4):
        await peer.run("asker", {}, spec(sub, "lifecycle"), run=f"r{sub}", thread=f"t{sub}")
        await peer.until(lambda frame, sub=sub: frame.get("sub") == sub and frame.get("mode") == "interrupt")
    refused = await peer.run("echo", {})
    await peer.ask(type="cancel", run="r1")
    await peer.closed(1)
    return {"codes": [refused.get("code"), (await peer.run("echo", {}, spec(9, "lifecycle"))).get("code")]}


@listed(RUNS, within_s=60, grows_mib=300, keeps_mib=300)
async def threads_with_many_checkpoints(server: Attacker) -> Report:
    """One principal writes 10,500 checkpoints; another one lists its only thread."""
    other = await server.connect(OTHER)
    attacker = await server.connect()
    await server.ready()
    config = {"recursion_limit": 20_000}
    await attacker.run("looper", {"n": 10_500, "total": 0}, spec(1, "lifecycle"), thread="t", config=config)
    await attacker.until(lambda frame: frame["type"] == "closed", 60)
    # A saver in memory gives the oldest threads first.
    written = await other.ask(type="state_update", graph="looper", thread="t", values={"total": 1})
    assert written["type"] == "ok", written
    threads = (await other.ask(type="list", what="threads", graph="looper"))["threads"]
    return {"threads": [row["thread"] for row in threads]}


@listed(RUNS, within_s=60, grows_mib=150, keeps_mib=150)
async def a_burst_of_events(server: Attacker) -> None:
    """One run writes a million events as fast as it can, and nobody reads them."""
    peer = await server.connect()
    await server.ready()
    await peer.run("events", {"n": 1_000_000}, spec(1, "custom", credit=0), run="r")
    await peer.ask(type="subscribe", run="r", **spec(2, "lifecycle", from_="now"))
    await peer.until(lambda frame: frame["type"] == "closed" and frame["sub"] == 2, 60)


@listed(RUNS, limits={"max_server_runs": 20}, within_s=30)
async def a_queue_of_runs(server: Attacker) -> Report:
    """Nine hundred runs of one principal, of a second each, wait where twenty execute at once."""
    peer = await server.connect()
    await server.ready()
    asked = [{"type": "run", "graph": "sleeper", "input": {"n": 1}} for _ in range(900)]
    started = sum(reply["type"] == "started" for reply in await ask_all(peer, asked))
    other = await server.connect(OTHER)
    began = server.since_s()
    await other.run("healthy", {"n": 1}, spec(1, "custom"))
    await other.until(lambda frame: frame["type"] == "closed", 25)
    return {"started": started, "other_waited_s": server.since_s() - began}


@listed(RUNS, limits={"store_bytes": 32 << 20}, within_s=40)
async def results_of_others(server: Attacker) -> Report:
    """One principal fills the store with results, next to ten small ones of another principal."""
    other, peer = await server.connect(OTHER), await server.connect()
    for sub in range(1, 11):
        await other.run("echo", {"n": sub}, spec(sub, "lifecycle"), run=f"kept-{sub}")
        await other.closed(sub)
    await server.ready()
    for sub in range(1, 61):
        await peer.run("echo", {"text": "x" * 900_000}, spec(sub, "lifecycle"))
        await peer.closed(sub)
    replies = [await other.ask(type="result", run=f"kept-{sub}") for sub in range(1, 11)]
    return {"kept": sum(reply["type"] == "ok" for reply in replies)}
