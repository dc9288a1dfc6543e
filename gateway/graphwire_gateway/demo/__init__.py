"""The demo: a toy chat model trained on text that ships with it, and three graphs to watch."""
