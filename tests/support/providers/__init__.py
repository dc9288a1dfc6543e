"""Model providers for the tests: a local server that speaks their streaming APIs, and graphs that call them.

The providers' own libraries are the real ones; only what they would reach over the internet stands here.
"""
