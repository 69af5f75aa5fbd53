"""Measuring any policy on held-out tasks."""

from pathlib import Path

import pytest
import torch

from milepost.agents.agent import ModelLoadError, Sampling
from milepost.agents.engines.engine import EngineError
from milepost.agents.engines.transformers import sample_batch
from milepost.agents.llm import load_policy
from milepost.agents.prompt import encode_prompt
from milepost.envs.task import UnknownTaskError
from milepost.training.contest import measure_policy
from milepost.training.records import list_episodes, read_episode
from tests.agents.engines.web import Answer, Heard, WebServer


@pytest.mark.browser
async def test_the_oracle_gets_everything_and_the_random_policy_no_goal() -> None:
    oracle = await measure_policy("oracle", ["CatalogSearch-v0"], split="test", episodes=4)
    assert (oracle.mean_success, oracle.success.trials, oracle.ret) == (1.0, 4, 1.25)
    random = await measure_policy("random", ["CatalogSearch-v0"], split="test", episodes=4)
    assert random.mean_success == 0.0


@pytest.mark.browser
async def test_a_policy_behind_a_chat_endpoint_scores_as_it_does_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    model, tokenizer = load_policy("tiny")

    def answer(heard: Heard, number: int) -> Answer:
        prompt = encode_prompt(heard.body["messages"], tokenizer)
        (one,) = sample_batch(
            model, [prompt], [Sampling(temperature=0)], stops=frozenset({tokenizer.eos_token_id})
        )
        text = tokenizer.decode(one.ids, skip_special_tokens=True)
        return Answer(body={"choices": [{"message": {"content": text}}]})

    tasks = ["ReportExport-v0"]
    own = await measure_policy("tiny", tasks, split="test", episodes=2, contexts=1)
    monkeypatch.setenv("MILEPOST_API_KEY", "secret")
    with WebServer(answer) as server:
        policy = f"openai:tiny@{server.url}/v1"
        score = await measure_policy(policy, tasks, split="test", episodes=2, contexts=1, folder=tmp_path)
    assert score.to_record() == own.to_record()
    assert {heard.headers["authorization"] for heard in server.heard} == {"Bearer secret"}
    recorded = [
        read_episode(folder).trajectory for folder in list_episodes(tmp_path / "episodes", "eval-test")
    ]
    turns = [turn for trajectory in recorded for turn in trajectory.turns]
    assert len(turns) == len(server.heard) > 0
    assert {turn.completion.completion_ids for turn in turns} == {()}
    assert not any("secret" in path.read_text(errors="replace") for path in tmp_path.rglob("*.json*"))


@pytest.mark.browser
async def test_an_endpoint_that_is_gone_is_an_engines_failure_and_no_score() -> None:
    with WebServer(lambda heard, n: Answer(status=401)) as server:
        policy = f"openai:m@{server.url}/v1"
        with pytest.raises(EngineError, match="answered 401"):
            await measure_policy(policy, ["ReportExport-v0"], split="test", episodes=2, contexts=1)


async def test_wrong_names_are_told_before_a_browser_starts() -> None:
    with pytest.raises(UnknownTaskError):
        await measure_policy("oracle", ["Nothing-v0"], split="test", episodes=1)
    with pytest.raises(ValueError, match="expected openai:MODEL@URL"):
        await measure_policy("openai:m@nowhere", ["CatalogSearch-v0"], split="test", episodes=1)
    with pytest.raises(ValueError, match="there is no such engine"):
        await measure_policy("tiny", ["CatalogSearch-v0"], split="test", episodes=1, engine="sglang")
    with pytest.raises(ValueError, match="tset"):
        await measure_policy("oracle", ["CatalogSearch-v0"], split="tset", episodes=1)


async def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError):
        await measure_policy(str(tmp_path), ["CatalogSearch-v0"], split="test", episodes=1)
