"""Training: rollouts, credit, losses, and the loop that improves a policy."""
