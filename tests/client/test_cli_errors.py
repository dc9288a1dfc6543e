"""What the command line says of mistakes: in one style, in the words that were typed; and what its help says.

About `clients/python/graphwire/cli/app.py`, `clients/python/graphwire/cli/outcome.py` and
`clients/python/graphwire/cli/listing.py`.
"""

import logging
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

import graphwire
import pytest
import typer
from graphwire.cli import outcome
from graphwire.cli.app import GROUP, build, run

from tests.support.model_server import ModelServer, impatient


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    server = ModelServer()

    def connect(url: str, **more: Any) -> graphwire.Client:
        return graphwire.connect(url, open=server.open, backoff=impatient(), **more)

    monkeypatch.setattr(outcome, "connect", connect)
    return server


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rnu", "no such command 'rnu'; did you mean 'run'? (see: graphwire --help)"),
        ("runs --stat x", "no such option: --stat; did you mean --status? (see: graphwire runs --help)"),
        ("runs --status x", "--status: 'x' is none of queued, running, interrupted, completed"),
        ("threads --status x", "--status: 'x' is none of"),
        ("watch --status x", "--status: 'x' is none of"),
        ("run joke -m x", "--mode: 'x' is none of"),
        ("attach r1 -m x", "--mode: 'x' is none of"),
        ("run joke -N a//b", "--namespace: a namespace segment may not be empty"),
        ("run joke --if-busy x", "--if-busy: 'x' is none of reject, enqueue, interrupt"),
        ("attach r1 --from x", "--from is start, snapshot or now, not 'x' (see: graphwire attach --help)"),
        ("run", "missing argument 'GRAPH' (see: graphwire run --help)"),
        ("runs --limit 0", "--limit: Input should be greater than or equal to 1"),
        ("run joke {", "INPUT is not JSON"),
        ("cancel", "name the ID of a run, --graph or --thread, or --all (see: graphwire cancel --help)"),
        ("conformance nothing", "no such command 'nothing' (see: graphwire conformance --help)"),
        ("conformance server", "which server?"),
        ("conformance client --jobs 0", "--jobs: Input should be greater"),
        ("serve --port x", "--port"),
    ],
)
def test_each_mistake_is_one_line_of_the_same_style(server, capsys, line, said):
    assert run(line.split()) == outcome.USAGE
    out, err = capsys.readouterr()
    assert err.startswith(f"graphwire: {said}")
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("command", ["cancel", "runs", "threads", "watch"])
def test_a_graph_that_the_server_does_not_have_is_refused(server, capsys, command):
    assert run([command, "--graph", "jok"]) == outcome.REFUSED
    said = "no graph 'jok'; did you mean 'joke'? This server has: joke (not_found)"
    assert capsys.readouterr() == ("", f"graphwire: {said}\n")
    assert run([command, "--graph", "other"]) == outcome.REFUSED
    assert capsys.readouterr().err == "graphwire: no graph 'other'; this server has: joke (not_found)\n"


def test_a_graph_without_runs_has_none_to_cancel(server, capsys):
    assert run(["cancel", "--graph", "joke"]) == outcome.FINE
    assert capsys.readouterr() == ("", "graphwire: cancelled 0 runs\n")


def test_what_the_client_logs_is_said_in_the_same_style(server, capsys):
    async def work(client: graphwire.Client) -> int:
        logging.getLogger("graphwire").warning("%s says: %s (%s)", "ws://here", "no such key", "ignored")
        return 0

    assert outcome.talk("ws://here", None, work) == 0
    assert capsys.readouterr().err == "graphwire: ws://here says: no such key (ignored)\n"


LISTS = {"0", "2", "3", "4", "130", "141"}
STREAMS = LISTS | {"1", "5"}


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        *((name, STREAMS) for name in ("run", "attach", "respond")),
        *((name, LISTS) for name in ("runs", "threads", "state", "graphs", "cancel")),
        ("watch", LISTS - {"0"}),
        ("delete", LISTS - {"141"} | {"1"}),
        ("schema", {"0", "1", "2", "141"}),
        ("version", {"0", "2", "141"}),
        ("demo", {"0", "1", "2", "130"}),
        *((f"conformance {name}", {"0", "1", "2", "130", "141"}) for name in ("server", "client")),
    ],
)
def test_the_help_lists_the_exit_codes_that_the_command_can_have(capsys, command, codes):
    assert run([*command.split(), "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("Exit codes:") == 1
    listed = text.partition("Exit codes: ")[2].partition(".")[0]
    assert {part.split()[0] for part in listed.split("; ")} == codes


def test_no_help_has_a_line_break_within_a_paragraph():
    app = build([], entry_points(group=GROUP))
    groups = [group.typer_instance for group in app.registered_groups if group.typer_instance is not None]
    helps = [command.help for each in (app, *groups) for command in each.registered_commands]
    assert len(helps) >= 16
    assert not [help for help in helps if "\n" in (help or "\n").replace("\n\n", "")]


def test_the_kit_says_what_it_is_for_once(capsys):
    for command in ("server", "client"):
        assert run(["conformance", command, "--help"]) == 0
        assert "from outside" not in capsys.readouterr().out


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group below this one, with the words that call it."""
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, *path, name)


def test_no_help_names_types_of_python_and_each_value_has_a_word(capsys):
    every = list(commands(typer.main.get_command(build([], entry_points(group=GROUP)))))
    assert len(every) >= 17
    for path, command in every:
        for param in command.get_params(typer.Context(command)):
            assert param.metavar or param.is_flag, f"{path}: what does {param.name} take?"
        assert run([*path, "--help"]) == 0
        assert not re.search(r"<\w", capsys.readouterr().out), path


@pytest.mark.parametrize(
    ("muted", "line", "code", "said"),
    [
        ("hello", "run joke", outcome.UNREACHABLE, "has not answered yet"),
        ("run", "run joke", outcome.FINE, "has not started the run yet"),
        ("subscribe", "attach there", outcome.FINE, "has not found the run yet"),
    ],
)
def test_a_silence_is_named_while_it_lasts(server, monkeypatch, muted, line, code, said):
    monkeypatch.setattr(outcome, "_SILENCE_S", 0.01)
    server.run("there").complete()
    server.on_run = lambda run: run.complete()
    server.mute.add(muted)
    spoken = []

    def say(sentence: str) -> None:
        spoken.append(sentence)
        if server.mute:
            server.mute.clear()
            server.cut()  # so that it is asked again, if it was ever there

    monkeypatch.setattr(outcome, "say", say)
    assert run(line.split()) == code
    assert spoken[0].endswith(f"{said}; waiting (Ctrl-C to give up)")
