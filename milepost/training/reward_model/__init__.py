"""Trains and measures R_phi from preferences between episodes."""
