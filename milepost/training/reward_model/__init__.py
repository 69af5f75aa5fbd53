"""Trains and measures R_phi: how preferences between episodes are made, kept and learnt from."""
