"""milepost: train LLM agents to use computers, with rewards that can be recomputed from what happened.

Importing this package registers its environments with Gymnasium and loads neither torch nor Playwright.
"""

from milepost.envs.registration import register_envs

__all__ = ["__version__"]
__version__ = "0.1.0"

register_envs()
