"""The agent that a language model plays, and how its model is loaded."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Decision, Sampling
from milepost.agents.engines.engine import Engine
from milepost.agents.engines.openai import SCHEME
from milepost.agents.prompt import MAX_ELEMENTS, encode_observation
from milepost.sandbox.observation import Observation

TINY = "tiny"
"""The name of the built-in policy."""

TINY_FOLDER = Path(__file__).parent / "tiny"
"""Where its checkpoint lies."""


class ModelLoadError(ValueError):
    """A model name or path does not give a causal language model with a tokenizer."""


def load_policy(
    name: str, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a policy's model and tokenizer.

    Args:
        name: `tiny` for the built-in policy, or a path or Hugging Face id of any causal LM.
        dtype: precision of the weights.
        device: where the model runs, as torch names it.

    Raises:
        ModelLoadError: there is no such model, it cannot be read, or its tokenizer has no end-of-turn token or no
            chat template.
    """
    if name.startswith(SCHEME):
        raise ModelLoadError(
            f"{name!r} is a chat endpoint: it gives no exact token ids and log-probabilities, so it can be measured "
            f"(milepost eval {name}) but neither trained nor imitated"
        )
    source = str(TINY_FOLDER) if name == TINY else str(Path(name).expanduser()) if name[:1] == "~" else name
    if _is_missing_path(source):
        # Asked first: a mistyped path would be sought on the network for a minute.
        raise ModelLoadError(_explain(name, FileNotFoundError("no such folder")))
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as broken:
        raise ModelLoadError(_explain(name, broken)) from broken
    if tokenizer.eos_token_id is None:
        raise ModelLoadError(
            f"the tokenizer of {name!r} names no end-of-turn token (eos_token); set one and save it"
        )
    if tokenizer.chat_template is None:
        raise ModelLoadError(
            f"the tokenizer of {name!r} has no chat template, so nothing says how a page and an answer are told apart; "
            "take the instruction-tuned variant of the model, or put a template into the file chat_template.jinja "
            "beside its tokenizer"
        )
    model.to(device)  # type: ignore[arg-type]
    return model.eval(), tokenizer  # type: ignore[no-untyped-call]


def _explain(name: str, broken: Exception) -> str:
    expected = (
        f'expected "{TINY}", a folder with config.json, weights and a tokenizer, or a Hugging Face model id'
    )
    if name == TINY:
        return f"the built-in checkpoint cannot be read: {_first_line(broken)}; make it anew with: milepost pretrain"
    path = Path(name)
    if path.is_file():
        return f"{name!r} is a file; {expected}"
    if path.is_dir() and not (path / "config.json").is_file():
        return f"the folder {name!r} holds no config.json; {expected}"
    if path.is_dir() and not _reads_as_json(path / "config.json"):
        return f"{name}/config.json is not JSON; {expected}"
    return f"cannot load the model {name!r}: {_first_line(broken)}; {expected}"


def _is_missing_path(name: str) -> bool:
    """Tell a mistyped path from a Hugging Face id, which is `name` or `owner/name`."""
    path = Path(name)
    near = len(path.parts) == 2 and path.parent.is_dir()
    return not path.exists() and (near or len(path.parts) > 2 or name.startswith((".", "~", "/")))


def _reads_as_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def _first_line(broken: Exception) -> str:
    return (str(broken).strip() or type(broken).__name__).splitlines()[0]


def draw_turn_seed(seed: int, turn: int) -> int:
    """Give the sampling seed of one turn of an episode (64 bits)."""
    return int(np.random.SeedSequence([seed, turn]).generate_state(1, np.uint64)[0])


class LLMAgent:
    """Reads an observation, asks an engine, answers with what the model wrote. One agent plays one episode."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: PreTrainedTokenizerBase,
        sampling: Sampling,
        *,
        max_prompt_tokens: int = 2048,
    ) -> None:
        """Prepare an agent.

        Args:
            engine: serves the model.
            tokenizer: the model's own.
            sampling: how completions are drawn; its seed is the episode's, each turn draws with one of its own.
            max_prompt_tokens: longest prompt; a page that gives a longer one is cut at its end.
        """
        self._engine = engine
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._max_prompt_tokens = max_prompt_tokens
        self._turn = 0

    async def act(self, observation: Observation) -> Decision:
        """Decide on the next action.

        Raises:
            EngineError: the engine could not serve the request.
        """
        seed = draw_turn_seed(self._sampling.seed, self._turn)
        self._turn += 1
        completion = await self._engine.generate(
            self._encode(observation), replace(self._sampling, seed=seed)
        )
        return Decision(text=completion.text, completion=completion)

    def _encode(self, observation: Observation) -> tuple[int, ...]:
        shown = min(MAX_ELEMENTS, len(observation.elements))
        ids = encode_observation(observation, self._tokenizer, max_elements=shown)
        while len(ids) > self._max_prompt_tokens and shown > 0:
            shown //= 2
            ids = encode_observation(observation, self._tokenizer, max_elements=shown)
        return ids
