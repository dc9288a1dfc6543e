"""What a graph is once it is built: its state, its nodes, and how they are called."""
