"""The pieces for people who put a web application, a proxy or a page in front of a server work as written.

About `clients/python/graphwire/graph.py`. The pieces are in `clients/python/examples/web`.
"""

import asyncio
import importlib.util
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import graphwire
import httpx
import pytest
from typing_extensions import TypedDict

from tests.live.test_javascript import node_command
from tests.support.graphs import OURS, Gate, Speaker, counter, storyteller
from tests.support.processes import started
from tests.support.proxy import Proxy, cut
from tests.support.story_graphs import words

WEB = Path(__file__).parents[2] / "clients" / "python" / "examples" / "web"


# ── FastAPI ──────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def application(monkeypatch: pytest.MonkeyPatch, url: str) -> AsyncIterator[str]:
    """Serve the example for the graphwire server at ``url``; yield the address of its pages."""
    pytest.importorskip("fastapi")
    uvicorn = pytest.importorskip("uvicorn")
    monkeypatch.setenv("GRAPHWIRE_URL", url)
    spec = importlib.util.spec_from_file_location("web_example", WEB / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = uvicorn.Server(uvicorn.Config(module.app, port=0, log_level="error", ws="none"))
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0)
        assert not serving.done()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


async def test_a_page_gets_the_words_while_they_are_written(serve, monkeypatch) -> None:
    gate = Gate()
    gate.open()
    server = await serve({"story": storyteller(gate, OURS)})
    async with application(monkeypatch, server.url) as url, httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(f"{url}/ask/story", params={"topic": "cats"})
        events = answer.text.strip().split("\n\n")
        said = "".join(json.loads(event.removeprefix("data: ")) for event in events[:-1])
        assert said == "".join([f"a{n} " for n in range(30)] + [f"b{n} " for n in range(60)])
        assert events[-1] == "event: done\ndata: null"
        failed = await browser.get(f"{url}/ask/stroy", params={"topic": "cats"})
        assert "did you mean 'story'?" in failed.text
        assert failed.text.startswith("event: failed\n")


async def test_a_browser_that_leaves_cancels_its_run_and_no_other(serve, monkeypatch) -> None:
    gate = Gate()
    server = await serve({"story": storyteller(gate, OURS)})
    async with (
        application(monkeypatch, server.url) as url,
        httpx.AsyncClient(trust_env=False) as browser,
        graphwire.connect(server.url) as client,
    ):
        other = await client.run("story", {"topic": "cats"}, run="other")
        async with browser.stream("GET", f"{url}/ask/story", params={"topic": "cats"}) as answer:
            async for line in answer.aiter_lines():
                if "b39" in line:
                    break
        async for row in client.watch(status=["cancelled"]):
            assert row.run != "other"
            break
        gate.open()
        await other.result()


# ── nginx ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.processes
async def test_nginx_passes_connections_and_their_origins(serve, unused_tcp_port, tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("no nginx here")
    server = await serve({"counter": counter()}, allowed_origins=["https://app.example"])
    own = (WEB / "nginx.conf").read_text("utf-8")
    own = own.replace("listen 80;", f"listen 127.0.0.1:{unused_tcp_port};")
    own = own.replace("127.0.0.1:8765", server.url.split("/")[2])
    paths = " ".join(f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi"))
    paths += f" uwsgi_temp_path {tmp_path}/uwsgi; scgi_temp_path {tmp_path}/scgi;"
    around = f"daemon off; pid {tmp_path}/pid; events {{}} http {{ access_log off; {paths}\n{own}\n}}"
    (tmp_path / "nginx.conf").write_text(around, "utf-8")
    async with started(
        nginx, "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")
    ) as child:
        url = f"ws://127.0.0.1:{unused_tcp_port}/ws"
        async with graphwire.connect(url, wait=20, headers={"Origin": "https://app.example"}) as client:
            run = await client.run("counter", {"count": 500}, modes=["custom"])
            assert [event.data["i"] async for event in run if event.mode == "custom"] == list(range(500))
        with pytest.raises(graphwire.CannotConnect):
            async with graphwire.connect(url, headers={"Origin": "https://other.example"}):
                pass
        child.terminate()
        await child.wait()


# ── the page ─────────────────────────────────────────────────────────────────────────────────────

STAGE = """
const element = {};
globalThis.document = { getElementById: (id) => (element[id] ??= { textContent: "", value: "" }) };
globalThis.location = { search: "?url=" + encodeURIComponent(process.argv[2]) + "&graph=chat" };
"""
PLAY = """
async function until(condition) { while (!condition()) await new Promise((go) => setTimeout(go, 5)); }
for (const words of ["hello", "again"]) {
  await until(() => socket.readyState === 1);
  element.said.value = words;
  element.form.onsubmit({ preventDefault() {} });
  await until(() => !asked);
}
console.log(shown.textContent);
process.exit(0);
"""


def page() -> str:
    text = (WEB / "chat.html").read_text("utf-8")
    return text.partition("<script>")[2].partition("</script>")[0]


class Talk(TypedDict):
    messages: Annotated[list[Any], words(OURS).add_messages]


def chat() -> Any:
    async def answer(state: Talk) -> dict[str, Any]:
        heard = [message.content for message in state["messages"] if message.type == "human"]
        text = [f"{word} " for word in heard] + ["and "] * 40 + ["so on"]
        return {"messages": [await Speaker(words=text).ainvoke("?")]}

    return OURS.StateGraph(Talk).add_node(answer).add_edge(OURS.START, "answer").compile()


async def test_the_page_chats_and_continues_after_a_lost_connection(serve, tmp_path: Path) -> None:
    node: Sequence[str] | None = node_command()
    if node is None:
        pytest.skip("no Node with a WebSocket here")
    (tmp_path / "page.mjs").write_text(STAGE + page() + PLAY, "utf-8")
    server = await serve({"chat": chat()})
    cuts = [cut("down", 60), cut("down", 2500), cut("down", 3500)]
    async with Proxy(server.port, lambda number: cuts[number - 1 : number]) as proxy:
        async with started(
            *node, str(tmp_path / "page.mjs"), proxy.url, stdout=asyncio.subprocess.PIPE
        ) as child:
            out, _ = await asyncio.wait_for(child.communicate(), 60)
        assert proxy.connections > 3
    tail = f"{'and ' * 40}so on\n"
    assert out.decode() == f"> hello\nhello {tail}> again\nhello again {tail}\n"
