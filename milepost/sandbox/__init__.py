"""The world an agent acts in: a browser, a file workspace, and the log of what happened there."""
