"""What judges a client: scripts that play a server to it."""
