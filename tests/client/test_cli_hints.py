"""Commands that are printed to be pasted do what they say, and answers without an id go to a single question.

About `clients/python/graphwire/cli/hints.py`, `clients/python/graphwire/cli/respond.py` and
`clients/python/graphwire/cli/answers.py`.
"""

import shlex
from typing import Any

import graphwire
import pytest
from graphwire.cli import outcome
from graphwire.cli.app import run
from graphwire.cli.hints import Hints, broken
from graphwire.client import DEFAULT_URL
from graphwire_protocol.commands import Respond
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.replies import StateTask, ThreadState

from tests.support.model_run import AT, ModelRun
from tests.support.model_server import ModelServer, impatient

URL = "ws://127.0.0.1:9101/ws"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRAPHWIRE_URL", "GRAPHWIRE_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """A server of one token that is reached at ``URL`` alone."""
    server = ModelServer()

    def connect(url: str, **more: Any) -> graphwire.Client:
        assert url == URL
        return graphwire.connect(url, open=server.open, backoff=impatient(), **more)

    monkeypatch.setattr(outcome, "connect", connect)
    server.tokens = {"secret"}
    server.on_run = ask
    return server


def ask(run: ModelRun) -> None:
    run.lifecycle("running")
    run.interrupt("i1", "sure?")


def hint_in(text: str) -> list[str]:
    """The words that a shell makes of the command at the end of what was said."""
    said = text.splitlines()
    begin = next(number for number, line in enumerate(said) if line.startswith("  graphwire "))
    lines = said[begin:]
    assert max(map(len, lines)) <= 80
    return shlex.split("\n".join(lines).replace("\\\n", ""))  # which shlex, unlike a shell, keeps


# ── what a hint holds ────────────────────────────────────────────────────────────────────────────

ID = "run-de8e902293d846db8454813c2a20fe37"


@pytest.mark.parametrize("by_option", ["url token", "url", "token", ""])
@pytest.mark.parametrize("line", ["run joke --run-id ID", "attach ID", "respond ID"])
def test_a_hint_that_is_pasted_answers_and_shows_no_token(server, monkeypatch, capsys, line, by_option):
    if not line.startswith("run"):
        server.run(ID).interrupt("i1", "sure?")
    options = {"url": ("GRAPHWIRE_URL", URL), "token": ("GRAPHWIRE_TOKEN", "secret")}
    words = line.replace("ID", ID).split()
    for name, (variable, value) in options.items():
        if name in by_option:
            words += [f"--{name}", value]
        else:
            monkeypatch.setenv(variable, value)
    assert run(words) == 5
    err = capsys.readouterr().err
    assert "secret" not in err
    assert ("with GRAPHWIRE_TOKEN set:\n" in err) == ("token" in by_option)
    monkeypatch.setenv("GRAPHWIRE_TOKEN", "secret")
    pasted = [word.replace("ANSWER", "yes") for word in hint_in(err)]
    assert run(pasted[1:]) == 0
    assert [item.value for item in server.of(Respond)[-1].responses] == ["yes"]


def test_the_hint_names_the_usual_server_only_where_another_one_would_be_reached(monkeypatch):
    assert Hints(DEFAULT_URL, None).to("to go", "respond", "r") == "to go:\n  graphwire respond r"
    monkeypatch.setenv("GRAPHWIRE_URL", URL)
    assert f"--url {DEFAULT_URL}" in Hints(DEFAULT_URL, None).to("to go", "respond", "r")


def test_many_questions_are_broken_into_lines_that_a_shell_joins(server, capsys):
    ids = [f"{number:032x}" for number in range(4)]
    server.run(ID).interrupt(*(part for id in ids for part in (id, "sure?")))
    assert run(["respond", ID, "--url", URL, "--token", "secret"]) == 5
    words = hint_in(capsys.readouterr().err)
    assert words == ["graphwire", "respond", "--url", URL, ID, *(f"{id}=ANSWER" for id in ids)]


def test_no_part_of_a_command_is_broken():
    parts = ["graphwire", "respond", "--url ws://a-host-with-a-long-name/ws", "x" * 30]
    assert broken(parts, 24) == [
        "  graphwire respond \\",
        "    --url ws://a-host-with-a-long-name/ws \\",
        "    " + "x" * 30,
    ]


# ── answers without an id ────────────────────────────────────────────────────────────────────────

HERE = ["--url", URL, "--token", "secret"]


def tell(model: ModelRun) -> None:
    model.emit("custom", model.answers)
    model.complete()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("true", True),
        ('{"ok": "a=b"}', {"ok": "a=b"}),
        ("a b = c", "a b = c"),
        ("null", None),
    ],
)
def test_a_single_question_takes_an_answer_without_its_id(server, text, value):
    model = server.run("mine")
    model.interrupt("i1", "sure?")
    model.on_answers = tell
    assert run(["respond", "mine", text, *HERE]) == 0
    (command,) = server.of(Respond)
    assert [(item.interrupt, item.value) for item in command.responses] == [("i1", value)]


def test_of_several_questions_an_answer_names_its_own(server, capsys):
    server.run("mine").interrupt("a", "one?", "b", "two?")
    assert run(["respond", "mine", "yes", *HERE]) == 2
    err = capsys.readouterr().err
    assert err.startswith(
        "graphwire: an answer without an id fits a single question; run mine asks:\n  a  one?\n  b  two?\n"
    )
    assert hint_in(err)[-2:] == ["a=ANSWER", "b=ANSWER"]
    assert not server.of(Respond)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("yes no", "each is ID=ANSWER, as in 14f0d5a4=yes; 'yes' names no question"),
        ("a=1 no", "each is ID=ANSWER, as in 14f0d5a4=yes; 'no' names no question"),
        ("ANSWER", "ANSWER stands for what you answer"),
        ("i1=ANSWER", "ANSWER stands for what you answer"),
        ("i1", "i1 is the id of a question; answer it with i1=ANSWER"),
    ],
)
def test_what_can_be_no_answer_is_not_sent(server, capsys, answers, said):
    server.run("mine").interrupt("i1", "sure?")
    assert run(["respond", "mine", *answers.split(), *HERE]) == 2
    assert said in capsys.readouterr().err
    assert not server.of(Respond)


def test_a_breakpoint_and_a_run_that_does_not_wait_take_no_answer(server, capsys):
    server.run("mine").interrupt()
    assert run(["respond", "mine", "yes", *HERE]) == 2
    assert capsys.readouterr().err == "graphwire: run mine asks nothing; leave out the answer\n"
    server.run("other").complete()
    assert run(["respond", "other", "yes", *HERE]) == 4
    assert "run other is completed, not interrupted" in capsys.readouterr().err
    assert not server.of(Respond)


def test_a_thread_that_does_not_wait_takes_none_either(server, capsys):
    server.states = [ThreadState(values={}, next=(), tasks=(), interrupts=(), config={}, created_at=AT)]
    for answer in ([], ["yes"]):
        assert run(["respond", *THREAD, *answer, *HERE]) == 4
        assert (
            capsys.readouterr().err
            == "graphwire: thread 't' of graph 'joke' waits for no answer (conflict)\n"
        )


THREAD = ["--graph", "joke", "--thread", "t"]


def test_a_thread_takes_an_answer_without_an_id_as_well(server):
    server.run("mine").interrupt("i1", "sure?")
    assert run(["respond", *THREAD, "yes", *HERE]) == 0
    (command,) = server.of(Respond)
    assert (command.run, command.responses[0].interrupt) == ("mine", "i1")


@pytest.mark.parametrize("count", [1, 2])
def test_so_does_a_thread_whose_run_is_forgotten(server, capsys, count):
    asks: Any = tuple({"id": f"i{number}", "value": "sure?"} for number in range(count))
    place = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}}
    task = StateTask(id="t1", name="ask", interrupts=asks)
    state = ThreadState(values={}, next=("ask",), tasks=(task,), interrupts=asks, config=place, created_at=AT)
    server.states = [state]
    server.on_run = lambda model: model.complete()
    assert run(["respond", *THREAD, "yes", *HERE]) == (0 if count == 1 else 2)
    if count == 1:
        assert server.of(RunCommand)[0].command.resume == {"i0": "yes"}
    else:
        assert not server.of(RunCommand)
        assert hint_in(capsys.readouterr().err)[-6:] == [*THREAD, "i0=ANSWER", "i1=ANSWER"]


# ── a run that is lost ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("thread", ["t", None])
def test_a_run_that_a_restart_has_lost_is_continued_by_what_is_printed(server, capsys, thread):
    async def work(client: graphwire.Client) -> int:
        raise graphwire.RunLost(ID, "joke", thread)

    assert outcome.talk(URL, "secret", work) == 4
    err = capsys.readouterr().err
    assert f"the server no longer knows run {ID}" in err
    assert "client." not in err
    if thread is not None:
        assert "with GRAPHWIRE_TOKEN set:\n" in err
        assert hint_in(err) == ["graphwire", "respond", "--url", URL, *THREAD]


# ── how the program is called ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("called", "found", "shown"),
    [
        ("venv/bin/graphwire", None, "venv/bin/graphwire"),
        ("venv/bin/graphwire", "other/graphwire", "venv/bin/graphwire"),
        ("venv/bin/graphwire", "venv/bin/graphwire", "graphwire"),
        ("link/graphwire", "link/graphwire", "graphwire"),
        ("my venv/graphwire", None, "'my venv/graphwire'"),
        ("graphwire/__main__.py", None, "python -m graphwire"),
        ("graphwire/__main__.py", "venv/bin/graphwire", "graphwire"),
        ("pytest", None, "graphwire"),
    ],
)
def test_a_command_calls_the_program_as_it_was_called(
    server, monkeypatch, capsys, tmp_path, called, found, shown
):
    monkeypatch.chdir(tmp_path)
    for path in ("venv/bin/graphwire", "other/graphwire", "my venv/graphwire"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch(0o755)
    (tmp_path / "link").symlink_to("venv/bin")
    monkeypatch.setenv("PATH", str(tmp_path / found.rpartition("/")[0]) if found else "")
    monkeypatch.setattr("sys.argv", [str(tmp_path / called)])
    assert run(["run", "joke", *HERE, "--run-id", "mine"]) == 5
    assert f"to give it, with GRAPHWIRE_TOKEN set:\n  {shown} respond --url" in capsys.readouterr().err
    assert run(["attach"]) == 2
    assert capsys.readouterr().err == f"graphwire: missing argument 'ID' (see: {shown} attach --help)\n"
