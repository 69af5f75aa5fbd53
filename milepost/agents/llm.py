"""The agent that a language model plays, and how its model is loaded."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from milepost.agents.agent import Decision, ModelLoadError, Sampling
from milepost.agents.engines.engine import Engine
from milepost.agents.engines.openai import SCHEME
from milepost.agents.prompt import MAX_ELEMENTS, encode_observation
from milepost.agents.sight import Sight, find_sight, give_sight
from milepost.sandbox.observation import Observation

TINY = "tiny"
"""The name of the built-in policy."""

TINY_FOLDER = Path(__file__).parent / "tiny"
"""Where its checkpoint lies."""


def load_policy(
    name: str, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a policy's model and tokenizer; a vision-language model gets its sight, see `find_sight`.

    Args:
        name: `tiny` for the built-in policy, or a path or Hugging Face id of any causal LM or vision-language model.
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
        seeing = _is_seeing(source)
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source)
        kind = AutoModelForImageTextToText if seeing else AutoModelForCausalLM
        model = kind.from_pretrained(source, dtype=dtype)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as broken:
        raise ModelLoadError(_explain(name, broken)) from broken
    if seeing:
        tokenizer = _open_eyes(model, source)
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


def sees(described: PreTrainedConfig) -> bool:
    """Say whether a model of this description takes pictures beside text."""
    return getattr(described, "vision_config", None) is not None


def _is_seeing(source: str) -> bool:
    """Say whether a checkpoint is of a vision-language model; one that holds an adapter alone names its model."""
    adapter = Path(source) / "adapter_config.json"
    if adapter.is_file() and not (Path(source) / "config.json").is_file():
        source = json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"]
    return sees(AutoConfig.from_pretrained(source))


def _open_eyes(model: PreTrainedModel, source: str) -> PreTrainedTokenizerBase:
    """Load a vision-language model's processor, let the model see through it, and give its tokenizer."""
    expected = f"{type(model).__name__} takes pictures, so a processor is expected beside it"
    try:
        processor = AutoProcessor.from_pretrained(source)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError, ImportError, AttributeError, RuntimeError) as broken:
        raise ModelLoadError(
            f"{expected}, and that of {source!r} cannot be loaded: {_first_line(broken)}. Processors with a part for "
            "videos need torchvision, in the version that goes with the installed torch"
        ) from broken
    if not isinstance(processor, ProcessorMixin) or not hasattr(processor, "image_processor"):
        raise ModelLoadError(f"{expected}, and {source!r} holds none (preprocessor_config.json)")
    if processor.chat_template is None:
        raise ModelLoadError(
            f"the processor of {source!r} has no chat template, so nothing says where a picture stands in a prompt; put "
            "one into the file chat_template.jinja beside it"
        )
    try:
        give_sight(model, processor)
    except ValueError as broken:
        raise ModelLoadError(f"{source!r} cannot be shown pictures: {broken}") from broken
    tokenizer: PreTrainedTokenizerBase = processor.tokenizer
    tokenizer.chat_template = processor.chat_template
    return tokenizer


def save_policy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write all that `load_policy` reads."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    sight = find_sight(model)
    if sight is not None:
        sight.save(folder)


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
        sight: Sight | None = None,
    ) -> None:
        """Prepare an agent.

        Args:
            engine: serves the model.
            tokenizer: the model's own.
            sampling: how completions are drawn; its seed is the episode's, each turn draws with one of its own.
            max_prompt_tokens: longest prompt; a page that gives a longer one is cut at its end. A picture does not count.
            sight: how the model sees; None shows it the text alone.
        """
        self._engine = engine
        self._tokenizer = tokenizer
        self._sampling = sampling
        self._max_prompt_tokens = max_prompt_tokens
        self._sight = sight
        self._turn = 0

    @property
    def sees(self) -> bool:
        """Whether it wants the observation's screenshot."""
        return self._sight is not None

    async def act(self, observation: Observation) -> Decision:
        """Decide on the next action.

        Raises:
            EngineError: the engine could not serve the request.
        """
        seed = draw_turn_seed(self._sampling.seed, self._turn)
        self._turn += 1
        sampling = replace(self._sampling, seed=seed)
        if self._sight is None:
            completion = await self._engine.generate(self._encode(observation), sampling)
        else:
            # The processor works on the whole picture: other episodes need not wait for it.
            ids = await asyncio.to_thread(self._encode_seen, observation, self._sight)
            completion = await self._engine.generate(ids, sampling, observation.screenshot)
        return Decision(text=completion.text, completion=completion)

    def _encode(self, observation: Observation) -> tuple[int, ...]:
        def encode(shown: int) -> tuple[int, ...]:
            return encode_observation(observation, self._tokenizer, max_elements=shown)

        return self._fit(observation, encode)[1]

    def _encode_seen(self, observation: Observation, sight: Sight) -> tuple[int, ...]:
        shown, _ = self._fit(
            observation,
            lambda shown: sight.encode_observation(observation, max_elements=shown, pictured=False),
        )
        return sight.encode_observation(observation, max_elements=shown)

    def _fit(
        self, observation: Observation, encode: Callable[[int], tuple[int, ...]]
    ) -> tuple[int, tuple[int, ...]]:
        """Find how many elements may be shown, and the ids of that prompt, given what encodes one with so many."""
        shown = min(MAX_ELEMENTS, len(observation.elements))
        ids = encode(shown)
        while len(ids) > self._max_prompt_tokens and shown > 0:
            shown //= 2
            ids = encode(shown)
        return shown, ids
