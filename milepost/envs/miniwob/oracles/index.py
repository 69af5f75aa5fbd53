"""Which page has which oracle."""

from collections.abc import Mapping

from milepost.envs.task import Oracle
from milepost.sandbox.actions import Action
from milepost.sandbox.observation import Observation

ORACLES: Mapping[str, Oracle] = {}
"""The pages that have an oracle."""


class NoOracleError(LookupError):
    """A task was asked for its solution and has none."""


def find_oracle(page: str) -> Oracle:
    """Give a page's oracle; where there is none, one that says so when it is first asked."""
    return ORACLES.get(page) or _refuse(page)


def _refuse(page: str) -> Oracle:
    def act(_observation: Observation) -> Action:
        raise NoOracleError(f"the page {page} of MiniWoB++ has no oracle; those that have: {', '.join(ORACLES)}")

    return act
