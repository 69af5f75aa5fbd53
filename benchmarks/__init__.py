"""Measurements of speed and quality: each module prints a table, and JSON with `--json`."""
