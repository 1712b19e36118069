"""Benchmarks: a compiled load generator, the raw relay that is its measure, and one table of results."""
