"""A shop's catalogue with a search and similar items."""
