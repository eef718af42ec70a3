"""Benchmarks: members as real processes on loopback, and what they are compared with, measured in one run."""
