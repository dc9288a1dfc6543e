"""What can be run: how graphs are loaded and made, what their threads are kept in, the loops they run on."""
