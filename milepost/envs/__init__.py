"""Environments: a task, its world and its milestones behind Gymnasium's interface."""
