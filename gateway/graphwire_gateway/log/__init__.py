"""Where events live: a run's log, the store that keeps it, and what commits one to the other."""
