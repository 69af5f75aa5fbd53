"""Asks the tiers about an episode that is over: the learned model first, judges last, and only what is needed."""

import asyncio

from milepost.milestones.case import Case, list_units
from milepost.milestones.judge.cache import CacheError
from milepost.milestones.judge.confidence import Confidence
from milepost.milestones.judge.panel import Panel
from milepost.milestones.learned.ensemble import RewardModel, form_opinion
from milepost.milestones.learned.transition import make_transitions
from milepost.milestones.router import (
    Decision,
    Opinion,
    Routing,
    Standing,
    Tier,
    choose_next,
    decide,
    is_audited,
)
from milepost.milestones.settlement import Settlement
from milepost.milestones.spec_error import SpecError


class Tiers:
    """The tiers that are switched on. The default is rules alone, which ask nobody."""

    def __init__(
        self, routing: Routing = Routing(), *, model: RewardModel | None = None, panel: Panel | None = None
    ) -> None:
        """Take the tiers.

        Args:
            routing: which are on, and how they share.
            model: the learned model; needed when its tier is on.
            panel: the judges; needed when their tier is on.

        Raises:
            SpecError: a tier is on and has nobody to ask.
        """
        for tier, asked in ((Tier.LEARNED, model), (Tier.JUDGE, panel)):
            if (tier in routing.tiers) is not (asked is not None):
                raise SpecError(
                    f"the tier {tier} is {'on, but nobody' if asked is None else 'off, but somebody'} is there"
                )
        self.routing = routing
        self._model = model
        self._panel = panel

    async def settle(self, case: Case) -> Settlement:
        """Settle every unit of an episode; one question to a tier serves all its units.

        Nothing is raised for an outage: it leaves units without a reward.
        """
        asked: dict[Tier, Opinion] = {}
        decisions: list[Decision] = []
        for unit in list_units(case, self.routing):
            opinions: dict[Tier, Opinion] = {}
            while (tier := choose_next(self.routing, unit, opinions)) is not None:
                if tier not in asked:
                    asked[tier] = await self._ask(tier, case)
                opinions[tier] = asked[tier]
            decisions.append(decide(self.routing, unit, opinions))
        sample = None
        if (
            self._panel is not None
            and case.rubric is not None
            and Tier.JUDGE not in asked
            and is_audited(case.id)
        ):
            sample = await self._consult(case)
        heard = asked.get(Tier.JUDGE, sample)
        return Settlement(
            case=case,
            routing=self.routing,
            decisions=tuple(decisions),
            verdicts=self._panel.recall(heard) if self._panel is not None and heard is not None else (),
            confidence=self._panel.confidence if self._panel is not None else Confidence(),
            sample=sample,
        )

    async def _ask(self, tier: Tier, case: Case) -> Opinion:
        return await self._weigh(case) if tier is Tier.LEARNED else await self._consult(case)

    async def _weigh(self, case: Case) -> Opinion:
        assert self._model is not None
        transitions = make_transitions(case.goal, case.turns, case.events)
        # A large model takes its time; browsers must not wait for it.
        score = await asyncio.to_thread(self._model.score_episode, transitions)
        return form_opinion(score, digest=self._model.digest)

    async def _consult(self, case: Case) -> Opinion:
        assert self._panel is not None
        if case.rubric is None:
            return Opinion(standing=Standing.ABSTAINED, reason="the task has no rubric to ask by")
        try:
            return await self._panel.consult(case.pack(), case.rubric)
        except (CacheError, OSError) as broken:
            return Opinion(standing=Standing.FAILED, reason=f"verdicts cannot be kept: {broken}")
