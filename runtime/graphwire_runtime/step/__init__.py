"""One superstep as data: tasks, their writes, and what follows from them."""
