"""Preferences between episodes: how they are made, kept and read."""
