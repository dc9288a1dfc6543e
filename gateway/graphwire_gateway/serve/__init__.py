"""The command ``graphwire serve``: its settings, its projects and its process."""
