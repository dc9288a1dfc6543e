"""What the demo runs: a toy chat model over text of its own, and three graphs that are worth watching."""
