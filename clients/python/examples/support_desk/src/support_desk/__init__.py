"""A support desk: a chat, a refund that a person approves, a small research."""
