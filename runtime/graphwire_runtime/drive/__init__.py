"""Runs a graph: its supersteps, the calls of its nodes with retries and timeouts, and its callbacks."""
