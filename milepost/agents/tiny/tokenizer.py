"""The tiny policy's tokenizer: one token per common word, number and element id.

A word has the same token wherever it stands: in a goal, quoted in the tree, in an action. So copying is
copying a token. For that a single space between two words is not a token at all; it is implied, and every
other space belongs to the punctuation beside it. Rare words fall into pieces, other scripts into bytes,
and `decode(encode(text)) == text` for every text.
"""

from collections.abc import Iterable, Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PAD, USER, ACT, END = "<|pad|>", "<|user|>", "<|act|>", "<|end|>"

CHAT_TEMPLATE = (
    "{% for m in messages %}"
    f"{{% if m.role == 'user' %}}{USER}{{{{ m.content }}}}"
    f"{{% elif m.role == 'assistant' %}}{ACT}{{{{ m.content }}}}{END}{{% endif %}}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{ACT}{{% endif %}}"
)
"""Minimal wrapping; the system message, which explains the dialect in English, is dropped."""

LONGEST = 64
"""Longest run of letters and digits matched as one word; bounds the matcher's quadratic cost."""

_WORD = "[A-Za-z0-9]"
_SPACE, _NEWLINE = "Ġ", "Ċ"
_DEPTHS = 12

# Longest first: the splitter takes the first that matches.
_PUNCTUATION = (
    *('"' + _NEWLINE + _SPACE * depth + "[" for depth in range(_DEPTHS, -1, -1)),
    *(_NEWLINE + _SPACE * depth + "[" for depth in range(_DEPTHS, -1, -1)),
    *(_NEWLINE + _SPACE * depth + '"' for depth in range(_DEPTHS, -1, -1)),
    *("]" + _NEWLINE + _SPACE * depth for depth in range(_DEPTHS, -1, -1)),
    *('"' + _NEWLINE + _SPACE * depth for depth in range(_DEPTHS, -1, -1)),
    *(_NEWLINE + _SPACE * depth for depth in range(_DEPTHS, -1, -1)),
    '"Ġ[',
    *(
        '",Ġ"',
        '("',
        '")',
        '="',
        "]Ġ",
        'Ġ"',
        '"Ġ',
        ",Ġ",
        ".Ġ",
        ":Ġ",
        ";Ġ",
        ":Ġ/",
        "Ġ/",
        "Ġ(",
        ")Ġ",
        "Ġ-Ġ",
        "Ġ=Ġ",
    ),
    *('":Ġ"', '"Ġ=Ġ"', '",Ġ', '".', ':Ġ"', "Ġ#"),
)


def build_tokenizer(words: Iterable[str], pieces: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """Build the tokenizer.

    Args:
        words: runs of ASCII letters and digits that get a token of their own, the most useful first.
        pieces: runs of ASCII letters and digits that get a token as the continuation of a rare word.

    Raises:
        ValueError: a word or piece holds something else than ASCII letters and digits.
    """
    tokenizer = Tokenizer(
        models.WordPiece(_vocabulary(words, pieces), unk_token=PAD, max_input_chars_per_word=LONGEST)
    )
    punctuation = "|".join(_escape(p) for p in sorted(_PUNCTUATION, key=len, reverse=True))
    implied = Regex(f"(?<={_WORD})(?<!{_WORD}{{{LONGEST}}}){_SPACE}(?={_WORD})")
    tokenizer.normalizer = normalizers.ByteLevel()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(implied, "removed"),
            pre_tokenizers.Split(Regex(f"{_WORD}{{1,{LONGEST}}}|{punctuation}|[\\s\\S]"), "isolated"),
        ]
    )
    # The WordPiece decoder puts a space before every token; all but the implied ones are taken out again.
    added = Regex(f"(?<={_WORD}{{{LONGEST}}}) |(?<!{_WORD}) | (?!{_WORD})")
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="##", cleanup=False),
            decoders.Fuse(),
            decoders.Replace(added, ""),
            decoders.Replace(" ", _SPACE),
            decoders.ByteLevel(),
        ]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, ACT],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _escape(text: str) -> str:
    return "".join(c if c.isalnum() else "\\" + c for c in text)


def _vocabulary(words: Iterable[str], pieces: Iterable[str]) -> dict[str, int]:
    letters = [chr(c) for c in range(128) if chr(c).isalnum()]
    tokens = [
        PAD,
        END,
        USER,
        ACT,
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
        *_PUNCTUATION,
        *number_words(),
    ]
    tokens += _checked(words)
    tokens += ["##" + piece for piece in (*letters, *(f"{n:02d}" for n in range(100)), *_checked(pieces))]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def _checked(words: Iterable[str]) -> Sequence[str]:
    checked = list(words)
    for word in checked:
        if not (word.isascii() and word.isalnum() and len(word) <= LONGEST):
            raise ValueError(f"a token's word is 1 to {LONGEST} ASCII letters and digits, got {word!r}")
    return checked


def number_words() -> list[str]:
    """List the numbers with a token of their own: 0 to 399, two digits with a leading zero, 1990 to 2039."""
    return (
        [str(n) for n in range(400)] + [f"{n:02d}" for n in range(10)] + [str(n) for n in range(1990, 2040)]
    )
