"""Small trajectories and a small model, for the tests of this folder."""

from collections.abc import Sequence

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from milepost.agents.agent import Completion
from milepost.training.trajectory import Status, Trajectory, Turn

NOTHING: frozenset[str] = frozenset()


def make_turn(
    reward: float = 0.0,
    *,
    reached: frozenset[str] = NOTHING,
    prompt: Sequence[int] = (1, 2, 3),
    completion: Sequence[int] = (4, 5),
    logps: Sequence[float] | None = None,
    name: str = "paid",
) -> Turn:
    return Turn(
        completion=Completion(
            prompt_ids=tuple(prompt),
            completion_ids=tuple(completion),
            logps=tuple(logps) if logps is not None else (-1.0,) * len(completion),
            text='click("1")',
            stop="stop",
        ),
        action='click("1")',
        error="",
        rewards={name: reward} if reward else {},
        reached=reached,
    )


def make_trajectory(
    turns: Sequence[Turn],
    *,
    group: str = "g",
    member: int = 0,
    task_id: str = "Demo-v0",
    seed: int = 0,
    status: Status = Status.FINISHED,
    success: bool = False,
    failure: str = "",
) -> Trajectory:
    return Trajectory(
        episode_id=f"{group}-{member}",
        task_id=task_id,
        seed=seed,
        split="train",
        group=group,
        member=member,
        turns=tuple(turns),
        status=status,
        success=success,
        failure=failure,
    )


def from_rewards(rewards: Sequence[float], **about: object) -> Trajectory:
    return make_trajectory([make_turn(r) for r in rewards], **about)  # type: ignore[arg-type]


def make_model(seed: int = 0, vocabulary: int = 40) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config).eval()  # type: ignore[no-untyped-call,no-any-return]
