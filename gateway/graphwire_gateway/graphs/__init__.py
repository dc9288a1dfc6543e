"""What can be run: how graphs are found and made, what keeps their threads, the loops they live on."""
