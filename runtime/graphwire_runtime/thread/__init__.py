"""A thread's checkpoints: made from a run, saved, restored, and shown as snapshots."""
