"""The built-in apps: one folder each, with its pages, server, tasks and oracle together."""
