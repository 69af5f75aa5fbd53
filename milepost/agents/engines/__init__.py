"""Backends that serve language models to agents."""
