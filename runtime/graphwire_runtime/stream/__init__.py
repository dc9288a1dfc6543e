"""What a run shows while it is at work: outlets, tokens, and the chunks of each mode."""
