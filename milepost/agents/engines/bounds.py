"""What a model takes and where it stops."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from milepost.agents.agent import Sampling
from milepost.agents.engines.engine import EngineError, Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a model takes and where it stops."""

    longest: int
    """Most tokens of prompt and completion together."""
    vocabulary: int
    """Ids below this are tokens."""
    stops: frozenset[int]
    """Ids that end a turn."""

    def check(self, prompt_ids: Sequence[int], sampling: Sampling) -> None:
        """Check a request before a backend sees it: some die of ids that they do not know.

        Raises:
            EngineError: the prompt is empty, does not fit with its completion, or holds an id that is no token.
        """
        room = self.longest - sampling.max_tokens
        if not 0 < len(prompt_ids) <= room:
            raise EngineError(
                f"the prompt has {len(prompt_ids)} tokens; with {sampling.max_tokens} to sample, this model "
                f"takes 1 to {room}: show fewer elements or sample fewer tokens",
                Fault.REQUEST,
            )
        strange = next((i for i in prompt_ids if not 0 <= i < self.vocabulary), None)
        if strange is not None:
            raise EngineError(
                f"the prompt holds the token id {strange}; this model knows 0 to {self.vocabulary - 1}: "
                "encode it with the model's own tokenizer",
                Fault.REQUEST,
            )


def find_bounds(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Bounds:
    """Read a model's bounds. What ends a turn is said by its tokenizer and by its generation settings."""
    stated = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    listed = stated if isinstance(stated, list) else [stated]
    return Bounds(
        longest=getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2**31,
        vocabulary=len(model.get_input_embeddings().get_parameter("weight")),
        stops=frozenset(i for i in (*listed, tokenizer.eos_token_id) if i is not None),
    )
