"""Learning from preferences: the methods, their losses, and the pairs, labels and demonstrations they learn from."""
