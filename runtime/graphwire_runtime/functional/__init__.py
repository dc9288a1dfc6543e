"""The functional API: `entrypoint` makes a graph of one function, `task` makes a function that it may call.

An entrypoint is a graph with one node, which runs with the input itself, and two keys: what it returned, and
what its next run gets as `previous`. A task is a function whose calls are tasks of the caller's superstep.
"""
