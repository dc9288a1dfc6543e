"""Where logs live: the store's Protocol and its implementations."""
