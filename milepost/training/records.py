"""How episodes are kept on disk, for viewers, reports and later learning.

An episode is a folder. Beside `events.jsonl`, `spec.json` and `rewards.json`, from which its reward can be
recomputed, this module writes and reads:

- `episode.json`: one object with `episode_id, task_id, seed, split, group, member, phase, goal, success,
  status, failure, routes, ret, wall_s, policy_version`.
- `settlement.json`, where something was left to other tiers than the rules: `milestones.settlement` has its form.
- `turns.jsonl`: one object for each turn with `step` (from 1), `url`, `title`, `tree` and `dialog` (what the
  agent saw), `completion` (what it said), `action`, `effect`, `error`, `rewards` (milestone name to decimal
  string), `reached` (milestones before the action), and the call itself: `prompt_ids`, `completion_ids`,
  `logps`, `stop`, `policy_version`. The prompt's text is the decoded `prompt_ids`. A policy that sees has also
  `picture`, the SHA-256 of the image in its prompt.
- `frames/<SHA-256>.png`: these images, each once.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from milepost.agents.agent import Completion
from milepost.milestones.audit import SETTLEMENT
from milepost.milestones.settlement import Settlement
from milepost.sandbox.observation import Observation
from milepost.training.trajectory import Status, Trajectory, Turn

EPISODES_FOLDER = "episodes"
EPISODE_FILE = "episode.json"
TURNS_FILE = "turns.jsonl"
FRAMES_FOLDER = "frames"


class RecordError(ValueError):
    """A stored episode does not have the documented form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRecord:
    """A stored episode: what was learnt from and what was seen."""

    trajectory: Trajectory
    goal: str
    phase: str
    views: tuple[Mapping[str, str], ...]
    """For each turn `url`, `title`, `tree`, `dialog` before the action and its `effect`."""
    decisions: tuple[Mapping[str, Any], ...] = ()
    """Who was asked and who paid, by unit, as `settlement.json` has it; empty where rules decided all."""


def write_episode(
    folder: Path,
    trajectory: Trajectory,
    *,
    goal: str,
    phase: str,
    observations: Sequence[Observation],
    settlement: Settlement | None = None,
) -> None:
    """Write `episode.json`, `turns.jsonl` and, if there is one, `settlement.json` into an episode's folder.

    Args:
        folder: the episode's folder; made if missing.
        trajectory: the episode.
        goal: the task's goal text.
        phase: what the episode was for.
        observations: what the agent saw, one before each turn and one after the last.
        settlement: what other tiers than the rules decided.

    Raises:
        ValueError: fewer observations than turns and one.
    """
    if len(observations) <= len(trajectory.turns):
        raise ValueError(
            f"{len(trajectory.turns)} turns need at least {len(trajectory.turns) + 1} observations, "
            f"got {len(observations)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    summary = {
        "episode_id": trajectory.episode_id,
        "task_id": trajectory.task_id,
        "seed": trajectory.seed,
        "split": trajectory.split,
        "group": trajectory.group,
        "member": trajectory.member,
        "phase": phase,
        "goal": goal,
        "success": trajectory.success,
        "status": trajectory.status.value,
        "failure": trajectory.failure,
        "routes": dict(trajectory.routes),
        "ret": repr(trajectory.ret),
        "wall_s": round(trajectory.wall_s, 4),
        "policy_version": max((t.completion.policy_version for t in trajectory.turns), default=0),
    }
    lines = [
        _turn_record(index, turn, observations[index], observations[index + 1])
        for index, turn in enumerate(trajectory.turns)
    ]
    _write_frames(folder / FRAMES_FOLDER, trajectory.turns)
    if settlement is not None:
        (folder / SETTLEMENT).write_bytes(settlement.to_bytes())
    (folder / TURNS_FILE).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    (folder / EPISODE_FILE).write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))


def _turn_record(index: int, turn: Turn, seen: Observation, after: Observation) -> dict[str, Any]:
    completion = turn.completion
    return {
        "step": index + 1,
        "url": seen.url,
        "title": seen.title,
        "tree": seen.tree,
        "dialog": seen.as_dict()["dialog"],
        "completion": completion.text,
        "action": turn.action,
        "effect": after.last_effect,
        "error": turn.error,
        "rewards": {name: repr(float(value)) for name, value in turn.rewards.items()},
        "reached": sorted(turn.reached),
        "prompt_ids": list(completion.prompt_ids),
        "completion_ids": list(completion.completion_ids),
        "logps": list(completion.logps),
        "stop": completion.stop,
        "policy_version": completion.policy_version,
        **({} if completion.picture is None else {"picture": _name_frame(completion.picture)}),
    }


def _name_frame(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


def _write_frames(folder: Path, turns: Sequence[Turn]) -> None:
    for picture in {turn.completion.picture for turn in turns} - {None}:
        assert picture is not None
        folder.mkdir(exist_ok=True)
        (folder / f"{_name_frame(picture)}.png").write_bytes(picture)


def _read_frame(folder: Path, name: str) -> bytes:
    picture = (folder / f"{name}.png").read_bytes()
    if _name_frame(picture) != name:
        raise ValueError(f"{FRAMES_FOLDER}/{name}.png is not the picture that was seen")
    return picture


def read_episode(folder: Path) -> EpisodeRecord:
    """Read a stored episode.

    Raises:
        RecordError: a file is missing or does not have the documented form.
    """
    try:
        summary = orjson.loads((folder / EPISODE_FILE).read_bytes())
        lines = [orjson.loads(line) for line in (folder / TURNS_FILE).read_bytes().splitlines()]
        turns = tuple(_read_turn(line, folder / FRAMES_FOLDER) for line in lines)
        trajectory = Trajectory(
            episode_id=summary["episode_id"],
            task_id=summary["task_id"],
            seed=summary["seed"],
            split=summary["split"],
            group=summary["group"],
            member=summary["member"],
            turns=turns,
            status=Status(summary["status"]),
            success=summary["success"],
            reward_parts=sum_parts(turns),
            wall_s=summary["wall_s"],
            failure=summary["failure"],
            routes=summary.get("routes", {}),
        )
        views = tuple(
            {key: line[key] for key in ("url", "title", "tree", "dialog", "effect")} for line in lines
        )
        return EpisodeRecord(
            trajectory=trajectory,
            goal=summary["goal"],
            phase=summary["phase"],
            views=views,
            decisions=_read_decisions(folder),
        )
    except FileNotFoundError as missing:
        raise RecordError(f"{folder} is not a recorded episode: {missing.filename} is missing") from None
    except KeyError as missing:
        raise RecordError(f"the episode in {folder} lacks the field {missing}") from None
    except ValueError as wrong:
        raise RecordError(f"the episode in {folder} cannot be read: {wrong}") from None


def _read_decisions(folder: Path) -> tuple[Mapping[str, Any], ...]:
    path = folder / SETTLEMENT
    return tuple(orjson.loads(path.read_bytes())["decisions"]) if path.is_file() else ()


def _read_turn(line: Mapping[str, Any], frames: Path) -> Turn:
    completion = Completion(
        prompt_ids=tuple(line["prompt_ids"]),
        completion_ids=tuple(line["completion_ids"]),
        logps=tuple(line["logps"]),
        text=line["completion"],
        stop=line["stop"],
        policy_version=line["policy_version"],
        picture=_read_frame(frames, line["picture"]) if "picture" in line else None,
    )
    return Turn(
        completion=completion,
        action=line["action"],
        error=line["error"],
        rewards={name: float(value) for name, value in line["rewards"].items()},
        reached=frozenset(line["reached"]),
    )


def sum_parts(turns: Sequence[Turn]) -> dict[str, float]:
    """Sum each milestone's reward over an episode's turns."""
    parts: dict[str, float] = {}
    for turn in turns:
        for name, value in turn.rewards.items():
            parts[name] = parts.get(name, 0.0) + value
    return parts


def list_episodes(directory: Path, phase: str = "") -> Iterator[Path]:
    """List the folders of the recorded episodes of a phase (all phases when empty), by name."""
    for folder in sorted(directory.glob(f"{phase}*" if phase else "*")):
        if (folder / EPISODE_FILE).is_file():
            yield folder
