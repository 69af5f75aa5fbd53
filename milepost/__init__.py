"""milepost: train LLM agents to use computers, with rewards that can be recomputed from what happened.

Importing this package registers its environments with Gymnasium and loads neither torch nor Playwright.
"""

from typing import TYPE_CHECKING, Any

from milepost.envs.registration import register_envs

if TYPE_CHECKING:
    from milepost.envs.computer import ComputerEnv

__all__ = ["__version__", "make"]
__version__ = "0.1.0"


def make(url: str, **options: Any) -> "ComputerEnv":
    """Make an environment of any web site, see `milepost.envs.website.make`."""
    from milepost.envs.website import make as make_website

    return make_website(url, **options)


register_envs()
