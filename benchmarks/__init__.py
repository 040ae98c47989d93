"""Benchmarks: one command a row, each printing ratios from one run."""
