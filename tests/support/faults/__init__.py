"""The fault suite: a network that does its worst, and an oracle that knows each run's log beforehand."""
