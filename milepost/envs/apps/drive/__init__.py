"""A file store: folders, and files to rename, move, convert and download."""
