"""Whether a chat template leaves what was sampled as it was, once the conversation goes on.

Turns are learnt as exact token ids. Where the next prompt begins with the last prompt and its answer, token for
token, both are one sequence and the beginning is computed once; where the template changes an earlier turn, drops
its thoughts for one, they fork, and every turn is computed alone. Neither is wrong, but the second is slower.
"""

from dataclasses import dataclass
from enum import StrEnum

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from milepost.agents.prompt import Message, encode_prompt

_THOUGHT = "<think>\nfirst this, then that\n</think>\n\n"
_QUESTION, _ANSWER, _NEXT = "What is on the page?", "a button", "And now?"


class Keeping(StrEnum):
    """What a template does to turns that are over."""

    ALL = "all"
    """They stay as they were sampled."""
    ANSWERS = "answers"
    """Answers stay, thoughts do not."""
    NOTHING = "nothing"
    """They are written anew, or left out."""
    REFUSED = "refused"
    """It takes no conversation of several turns."""


_TEXT = {
    Keeping.ALL: "keeps earlier turns as they were sampled: a conversation is learnt as one sequence",
    Keeping.ANSWERS: "drops the thoughts of earlier turns: conversations with thoughts fork at every turn",
    Keeping.NOTHING: "changes earlier turns: conversations fork at every turn",
    Keeping.REFUSED: "takes no conversation of several turns",
}


@dataclass(frozen=True, slots=True)
class TemplateVerdict:
    """What a tokenizer's chat template keeps."""

    keeping: Keeping

    def __str__(self) -> str:
        """Say it in a sentence."""
        return f"the chat template {_TEXT[self.keeping]}"


def check_template(tokenizer: PreTrainedTokenizerBase) -> TemplateVerdict:
    """Try a tokenizer's chat template on a conversation of two turns, without and with a thought."""
    try:
        plain, thoughtful = (_keeps(tokenizer, thought + _ANSWER) for thought in ("", _THOUGHT))
    except TemplateError:
        return TemplateVerdict(Keeping.REFUSED)
    if plain and thoughtful:
        return TemplateVerdict(Keeping.ALL)
    return TemplateVerdict(Keeping.ANSWERS if plain else Keeping.NOTHING)


def _keeps(tokenizer: PreTrainedTokenizerBase, answer: str) -> bool:
    question = Message(role="user", content=_QUESTION)
    before = encode_prompt([question], tokenizer)
    sampled = (*before, *tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id)
    # Not through `encode_prompt`: an answer's own control tokens have to stay, and the messages are ours.
    said = (("user", _QUESTION), ("assistant", answer), ("user", _NEXT))
    after = tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in said],
        add_generation_prompt=True,
        return_dict=False,
    )
    return tuple(after[: len(sampled)]) == sampled
