"""The conformance kit: it judges whether a program is a graphwire server, or a graphwire client.

It trusts no other code of ours. It speaks plain WebSockets and JSON, keeps the plainest cursors that can be,
and imports none of our models. What it expects is written down, much of it as data for other languages to use
(``data/``).

- ``servers`` judges a server: cases that speak to it over raw connections.
- ``clients`` judges a client: scripts that play a server to it.
- ``graphs`` are the graphs that a server under test has to offer, and their contract.
- ``command`` is ``graphwire conformance``.
"""

from graphwire_conformance.clients.judge import by_command, judge_client
from graphwire_conformance.servers.judge import judge_server
from graphwire_conformance.verdict import Verdict

__all__ = ["Verdict", "by_command", "judge_client", "judge_server"]
