"""Measurements, run as scripts: `python -m benchmarks.env_speed`."""
