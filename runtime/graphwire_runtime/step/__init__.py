"""One superstep as data: where a run stands, its tasks, their writes, and what they lead to."""
