"""LangGraph's parts in a graph of this package, and a graph of this package in one of LangGraph's.

Nothing here imports langgraph: a value of a class of LangGraph's exists only if that module is imported.
"""
