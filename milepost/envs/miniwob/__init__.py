"""MiniWoB++: the pages of the installed package `miniwob` as tasks. They are its own; how they are run is ours."""
