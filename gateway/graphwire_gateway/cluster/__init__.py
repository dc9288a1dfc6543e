"""Several processes on one Redis: workers run graphs, and gateways pass on to them what clients ask."""
