"""Which runs and threads there are, who may ask for them, and how each begins and ends."""
