"""Solutions of MiniWoB++ pages: pure functions that read the goal and the tree, and nothing of the page behind."""
