"""A cluster whose parts are killed, frozen and cut off again and again, and what its clients saw of that."""
