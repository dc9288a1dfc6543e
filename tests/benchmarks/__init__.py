"""Benchmarks: `make bench`. Each compares within one run; nothing here is a test."""
