"""A server on a SQLite store that is killed again and again, and what its clients saw of that."""
