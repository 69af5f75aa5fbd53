from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from milepost.agents.agent import Agent
from milepost.agents.scripted import OracleAgent
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.milestones import RewardMode
from milepost.milestones.audit import audit_run, explain_settlement
from milepost.milestones.judge.scripted import Act, Script, ScriptedJudgeServer, compare_quotes
from milepost.milestones.router import RouterMode, Tier
from milepost.sandbox.pool import Pool
from milepost.training import verifiers
from milepost.training.backends.local import LocalBackend
from milepost.training.config import Config, RewardSection, build_config
from milepost.training.overrides import ConfigError
from milepost.training.rollout import Rollout
from milepost.training.trajectory import EpisodeRequest, Status, Trajectory
from milepost.training.verifiers import build_routing, check_reward, open_tiers, split_judge
from tests.milestones.learned.test_ensemble import gauged
from tests.training.judging import serve

JUDGED = "MeantInvoice-v0"
RULED = "CatalogSearch-v0"


def make_config(*judges: str, tasks: Sequence[str] = (JUDGED,), **reward: object) -> Config:
    return build_config({"tasks": {"ids": list(tasks)}, "reward": {"judge": list(judges), **reward}})


def test_each_tier_is_one_line() -> None:
    assert build_routing(Config().reward).tiers == {Tier.RULE}
    section = make_config("m@http://j.test/v1", rules="off", learned="m.npz", blend=[0.6, 0.3, 0.1]).reward
    routing = build_routing(section)
    assert (set(routing.tiers), routing.mode) == ({Tier.LEARNED, Tier.JUDGE}, RouterMode.BLEND)
    assert routing.weights == {
        Tier.RULE: Fraction(6, 10),
        Tier.LEARNED: Fraction(3, 10),
        Tier.JUDGE: Fraction(1, 10),
    }
    assert routing.thresholds == {Tier.LEARNED: Fraction(9, 10), Tier.JUDGE: Fraction(1, 2)}


def test_a_judge_is_a_model_at_an_address() -> None:
    assert split_judge("org/model@v2@https://j.test/v1") == ("org/model@v2", "https://j.test/v1")
    with pytest.raises(ConfigError, match=r"\[reward\] judge"):
        make_config("http://j.test/v1")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (make_config(), f"no rule of {JUDGED} decides settled, goal, so its episodes would have no reward"),
        (make_config(learned="none.npz"), r"reward.learned: none.npz is no reward model: .*train one with"),
        (make_config(tasks=[RULED], rules="off"), "no tier is on"),
        (make_config("m@http://127.0.0.1:9/v1", blend=[0.5, 0.3, 0.1]), "must sum to 1"),
        (make_config(*["m@http://127.0.0.1:9/v1"] * 4), "a panel has two judges, or three; got 4"),
        (make_config(*["m@http://127.0.0.1:9/v1"] * 3), "judges must differ in model or style"),
        (make_config("m@http://127.0.0.1:9/v1"), "nothing listens there; is the server up"),
    ],
)
def test_what_cannot_work_is_said_before_a_run_begins(config: Config, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_reward(config)


def test_a_wrong_key_or_path_is_said_before_a_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(compare_quotes, key="sesame") as server:
        with pytest.raises(ConfigError, match=r"its key is missing or wrong \(.*MILEPOST_JUDGE_KEY\)"):
            check_reward(make_config(f"scripted@{server.url}"))
        monkeypatch.setenv(verifiers.KEY_VARIABLE, "sesame")
        with pytest.raises(ConfigError, match="the address should end in /v1"):
            check_reward(make_config(f"scripted@{server.url.removesuffix('/v1')}/v2"))
        check_reward(make_config(f"scripted@{server.url}"))


def test_a_folder_is_a_model_of_the_text_tier(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no text reward model"):
        check_reward(make_config(learned=str(tmp_path), tasks=[RULED]))


def test_rules_alone_ask_nobody_and_open_nothing(tmp_path: Path) -> None:
    check_reward(make_config(tasks=[RULED]))


async def play_with(
    section: RewardSection, tasks: Sequence[str], run: Path, *, seeds: int
) -> list[Trajectory]:
    """Play oracles, scored as a section says."""

    def make_agent(request: EpisodeRequest) -> Agent:
        return OracleAgent(get_template(request.task_id).task(request.seed, Split(request.split)).oracle)

    requests = [
        EpisodeRequest(task_id=task, seed=n, split="train", group=f"{task}-{n}", member=0, sampling_seed=n)
        for task in tasks
        for n in range(seeds)
    ]
    backend = LocalBackend(Pool(contexts=3), contexts=3, mode=RewardMode.NORMALIZED)
    try:
        async with open_tiers(section, run) as tiers:
            rollout = Rollout(
                backend, max_inflight=6, mode=RewardMode.NORMALIZED, tiers=tiers, directory=run / "episodes"
            )
            return await rollout.run(requests, make_agent=make_agent)
    finally:
        await backend.close()


async def play(
    script: Script, tasks: Sequence[str], run: Path, *, seeds: int = 1
) -> tuple[list[Trajectory], int]:
    """Play oracles with a scripted judge; the trajectories, and how many calls the judge got."""
    async with ScriptedJudgeServer(script) as server:
        section = make_config(f"scripted@{server.url}").reward
        return await play_with(section, tasks, run, seeds=seeds), len(server.requests)


@pytest.mark.browser
async def test_judged_episodes_are_paid_recorded_and_audited_without_the_judge(tmp_path: Path) -> None:
    tasks = ("BoardSummary-v0", "TableCopy-v0", JUDGED, "DialogRecovery-v0", "ReplyTone-v0", RULED)
    played, calls = await play(compare_quotes, tasks, tmp_path)
    assert [(t.success, t.status, t.ret) for t in played] == [(True, Status.FINISHED, 1.0)] * len(tasks)
    assert [set(t.routes.values()) for t in played] == [{"judge"}] * 5 + [set()]
    # Two judges for each judged episode, and none where rules decide everything.
    assert calls == 10
    report = audit_run(tmp_path)
    assert (len(report.episodes), report.clean) == (len(tasks), True)
    settlement = explain_settlement(tmp_path / "episodes" / played[2].episode_id)
    assert settlement is not None
    assert settlement.describe("settled")[0].startswith("settled: 1 by judge 1: the rules say uninstrumented")
    assert len(settlement.verdicts) == 2

    changed = tmp_path / "episodes" / played[2].episode_id / "settlement.json"
    changed.write_bytes(changed.read_bytes().replace(b'"value":"1"', b'"value":"2/3"'))
    [finding] = [one for one in audit_run(tmp_path).episodes if one.verdict != "equal"]
    assert (finding.verdict, "value: stored '2/3', recomputed '1'" in finding.detail) == ("different", True)


@pytest.mark.browser
async def test_a_model_alone_pays_with_the_rules_off(tmp_path: Path) -> None:
    sure = gauged(familiar=1e9, slope=0.0, offset=3.0)
    sure.save(tmp_path / "phi.npz")
    section = make_config(learned=str(tmp_path / "phi.npz"), rules="off", tasks=[RULED]).reward
    [played] = await play_with(section, [RULED], tmp_path, seeds=1)
    assert [turn.rewards for turn in played.turns[:-1]] == [{}] * (len(played.turns) - 1)
    assert played.turns[-1].rewards == {"goal": pytest.approx(0.9526)}
    assert (played.routes, played.success) == ({"goal": "learned"}, True)
    settlement = explain_settlement(tmp_path / "episodes" / played.episode_id)
    assert settlement is not None
    assert settlement.find("goal").opinions[Tier.LEARNED].evidence == (f"phi:{sure.digest[:16]}",)
    assert audit_run(tmp_path).clean


ACTS = {
    "outage": Act(status=503),
    "storm": Act(status=429),
    "hang": Act(wait_s=60.0),
    "refusal": Act(content=None, message={"refusal": "I cannot help with that."}),
    "cut": Act(content="x" * 200, cut=True),
    "length": Act(content='{"nonce": "', finish="length"),
    "schema": Act(content='{"outcome": "met"}'),
    "praise": Act(content="The task was completed successfully. Score: 1"),
}


@pytest.mark.browser
async def test_whatever_a_judge_does_nothing_is_scored_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifiers, "DEADLINE_S", 3.0)
    monkeypatch.setattr(verifiers, "RETRIES", 0)
    acts = list(ACTS.values())

    def misbehave(request: object, number: int) -> Act:
        return acts[number % len(acts)]

    judged, calls = await play(misbehave, (JUDGED,), tmp_path, seeds=4)
    assert calls >= len(acts)
    assert {t.status for t in judged} == {Status.UNSCORED}
    assert all(not t.scored and not t.success and set(t.routes.values()) == {"unscored"} for t in judged)
    assert audit_run(tmp_path).clean
