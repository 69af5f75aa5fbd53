"""Two different judges, and a third when they differ: the judge as the router asks it."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from milepost.milestones.judge.cache import Kept, VerdictCache
from milepost.milestones.judge.confidence import Confidence
from milepost.milestones.judge.consensus import form_opinion
from milepost.milestones.judge.endpoint import EndpointError, JudgeClient
from milepost.milestones.judge.evidence import EvidencePack
from milepost.milestones.judge.question import Style, ask, is_key, verdict_key
from milepost.milestones.judge.rubric import Rubric
from milepost.milestones.judge.verdict import InvalidReplyError, Verdict, read_reply
from milepost.milestones.router import Opinion, Standing
from milepost.milestones.spec_error import SpecError

ATTEMPTS = 2
"""Questions put to a judge whose reply is not valid, each with a nonce of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What one judge has said about one pack."""

    judge: str
    verdict: Verdict | None
    key: str = ""
    """Where the reply is kept."""
    failure: str = ""
    """Why there is no verdict."""


class Judge:
    """One model asked in one style."""

    def __init__(
        self,
        name: str,
        client: JudgeClient | None,
        *,
        model: str,
        style: Style,
        cache: VerdictCache,
        make_nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """Prepare a judge.

        Args:
            name: for the records.
            client: how its model is reached; None answers from the cache alone, to judge a run again.
            model: the model's exact name.
            style: the wording of its questions.
            cache: where valid replies are kept.
            make_nonce: gives a fresh text that no page can guess.
        """
        self.name = name
        self.model = model
        self.style = style
        self.cache = cache
        self._client = client
        self._make_nonce = make_nonce

    async def rule(self, pack: EvidencePack, rubric: Rubric) -> Ruling:
        """Ask about a pack, or read what was said about it before."""
        key = verdict_key(pack, rubric, model=self.model, style=self.style)
        kept = self.cache.get(key)
        if kept is not None:
            return self._read_kept(kept, pack, rubric)
        if self._client is None:
            return Ruling(judge=self.name, verdict=None, failure="there is no kept verdict")
        why = ""
        for _ in range(ATTEMPTS):
            question = ask(pack, rubric, nonce=self._make_nonce(), style=self.style)
            try:
                reply = await self._client.complete(question.messages, question.schema)
                verdict = read_reply(question, reply.text, finish=reply.finish)
            except EndpointError as down:
                return Ruling(judge=self.name, verdict=None, failure=str(down))
            except InvalidReplyError as wrong:
                why = f"invalid reply: {wrong}"
                continue
            self.cache.put(
                Kept(
                    key=key,
                    model=self.model,
                    style=self.style.value,
                    nonce=question.nonce,
                    reply=reply.text,
                    reason=rubric.reason.value,
                    tokens=reply.tokens,
                )
            )
            return Ruling(judge=self.name, verdict=verdict, key=key)
        return Ruling(judge=self.name, verdict=None, failure=why)

    def _read_kept(self, kept: Kept, pack: EvidencePack, rubric: Rubric) -> Ruling:
        question = ask(pack, rubric, nonce=kept.nonce, style=self.style)
        try:
            verdict = read_reply(question, kept.reply)
        except InvalidReplyError as wrong:
            return Ruling(judge=self.name, verdict=None, failure=f"the kept reply is not valid: {wrong}")
        return Ruling(judge=self.name, verdict=verdict, key=kept.key)


class Panel:
    """Several different judges as one tier."""

    def __init__(self, judges: Sequence[Judge], *, confidence: Confidence | None = None) -> None:
        """Take two judges, or three: the third is asked when the first two differ.

        Args:
            judges: in the order of asking.
            confidence: how often which agreement of theirs is right; None when nobody has measured it.

        Raises:
            SpecError: too few or too many, two that are the same model asked in the same style, or others than
                those whose confidence was measured.
        """
        if not 2 <= len(judges) <= 3:
            raise SpecError(f"a panel has two judges, or three; got {len(judges)}")
        kinds = [(judge.model, judge.style) for judge in judges]
        if len(set(kinds)) < len(kinds):
            raise SpecError(f"judges must differ in model or style; got {kinds[0][0]!r} {kinds[0][1]} twice")
        if len({judge.name for judge in judges}) < len(judges):
            raise SpecError("each judge of a panel needs a name of its own")
        self._judges = tuple(judges)
        if confidence is not None and confidence.judges not in ((), self.names):
            named = f"{', '.join(confidence.judges)}; the judges are {', '.join(self.names)}"
            raise SpecError(f"the confidence was measured of {named}")
        self.confidence = confidence or Confidence()

    def recall(self, opinion: Opinion) -> tuple[Kept, ...]:
        """Give the kept replies on which an opinion of this panel rests, in the order of the judges."""
        caches = {id(judge.cache): judge.cache for judge in self._judges}.values()
        found = (cache.get(key) for key in opinion.evidence if is_key(key) for cache in caches)
        return tuple({kept.key: kept for kept in found if kept is not None}.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The judges' names, in the order of asking."""
        return tuple(judge.name for judge in self._judges)

    async def consult(self, pack: EvidencePack, rubric: Rubric) -> Opinion:
        """Give the panel's opinion; an outage or an invalid reply makes it `failed`, never a score."""
        return self.form(rubric, await self.hear(pack, rubric))

    async def hear(self, pack: EvidencePack, rubric: Rubric) -> tuple[Ruling, ...]:
        """Ask the first two judges, and the third when they differ and come to no score."""
        rulings = tuple(await asyncio.gather(*(j.rule(pack, rubric) for j in self._judges[:2])))
        findings = [dict(r.verdict.findings) for r in rulings if r.verdict is not None]
        if len(findings) < 2 or len(self._judges) < 3 or findings[0] == findings[1]:
            return rulings
        if self.form(rubric, rulings).standing is not Standing.ABSTAINED:
            return rulings
        third = await self._judges[2].rule(pack, rubric)
        return rulings if third.verdict is None else (*rulings, third)

    def form(self, rubric: Rubric, rulings: Sequence[Ruling]) -> Opinion:
        """Make one opinion of what judges have said; `failed` when one of them has said nothing."""
        verdicts = {ruling.judge: ruling.verdict for ruling in rulings if ruling.verdict is not None}
        if len(verdicts) < len(rulings):
            why = "; ".join(f"{r.judge}: {r.failure}" for r in rulings if r.verdict is None)
            return Opinion(standing=Standing.FAILED, reason=why)
        keys = tuple(ruling.key for ruling in rulings)
        return form_opinion(rubric, verdicts, confidence=self.confidence, keys=keys)
