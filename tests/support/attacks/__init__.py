"""Attacks on a server that is a process of its own, as data: ``ATTACKS`` has each by its name.

``attack`` says what an attack is, ``connections``, ``frames``, ``walks``, ``runs`` and ``code`` hold them,
``graphs`` is what the server serves, ``served`` is the server, ``figures`` measures, and
``python -m tests.support.attacks NAME PORT`` is the attacker.
"""
