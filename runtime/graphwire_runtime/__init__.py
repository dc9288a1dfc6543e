"""A small Pregel: build a graph of nodes over a state, run it and stream what happens."""
