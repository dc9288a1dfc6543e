"""What judges a server: cases that speak to it over raw connections."""
