"""What runs a graph: from a request to encoded records and an outcome."""
