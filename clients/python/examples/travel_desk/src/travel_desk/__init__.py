"""A travel desk: an agent that asks another agent, and a person before it books."""
