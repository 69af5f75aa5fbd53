"""Shortens an observation to a budget of tokens, and says in the tree itself what was left out.

What an agent can act on is kept before what it can read, what it sees before what it would have to scroll to. Lines
are never reordered. A run of lines that is missing is replaced by one that counts it: `(... 14 more: 12 link, 2 text)`.
Page text is always quoted, so no page can write such a line.
"""

from collections import Counter
from collections.abc import Sequence

from milepost.sandbox.observation import ELIDED, Element

CHARS_PER_TOKEN = 4
"""An estimate on the safe side for the vocabularies of today's models on English page text."""

_LABEL_TOKENS = 10
"""Reserved for a line that counts what is missing."""

_LANDMARKS = frozenset({"dialog", "alertdialog", "alert", "status", "heading"})
_TALK = frozenset({"text", "img", "table", "row", "list", "group", "region", "article", "option"})


def count_tokens(line: str) -> int:
    """Estimate the tokens of a line, its end included."""
    return len(line) // CHARS_PER_TOKEN + 1


def shorten_elements(elements: Sequence[Element], budget: int) -> tuple[Element, ...]:
    """Keep the lines that matter most within a budget; the same elements always give the same.

    Args:
        elements: the tree.
        budget: most tokens, as `count_tokens` estimates them.
    """
    costs = [count_tokens(element.line) for element in elements]
    if sum(costs) <= budget:
        return tuple(elements)
    kept = set[int]()
    used = _LABEL_TOKENS
    for index in sorted(range(len(elements)), key=lambda i: (_rank(elements[i]), i)):
        # A line between two that are kept may need a line of its own for what is missing around it.
        cost = costs[index] + _LABEL_TOKENS * _adds_gap(index, kept, len(elements))
        if used + cost <= budget:
            kept.add(index)
            used += cost
    return _join(elements, kept)


def _adds_gap(index: int, kept: set[int], length: int) -> int:
    """How many more gaps there are when a line is kept: -1, 0 or 1."""
    before = index == 0 or index - 1 in kept
    after = index == length - 1 or index + 1 in kept
    return 1 - before - after


def _rank(element: Element) -> int:
    """How soon a line is kept: 0 first."""
    if "focused" in element.states or element.role in _LANDMARKS:
        return 0
    away = "offscreen" in element.states
    if element.id and element.role not in _TALK:
        return 3 if away else 1
    return 4 if away else 2


def _join(elements: Sequence[Element], kept: set[int]) -> tuple[Element, ...]:
    out, gap = list[Element](), list[Element]()
    for index, element in enumerate(elements):
        if index not in kept:
            gap.append(element)
            continue
        if gap:
            out.append(_count(gap))
            gap = []
        out.append(element)
    return (*out, _count(gap)) if gap else tuple(out)


def _count(gap: Sequence[Element]) -> Element:
    roles = Counter(element.role for element in gap).most_common()
    shown = sorted(roles, key=lambda pair: (-pair[1], pair[0]))[:3]
    words = ", ".join(f"{number} {role}" for role, number in shown)
    rest = len(gap) - sum(number for _, number in shown)
    text = f"{len(gap)} more: {words}" + (f", {rest} other" if rest else "")
    return Element(id="", depth=min(element.depth for element in gap), role=ELIDED, name=text)


def shorten_lines(lines: Sequence[str], budget: int) -> tuple[str, ...]:
    """Keep the first lines of a list within a budget, and count the others in a last line."""
    if sum(map(count_tokens, lines)) <= budget:
        return tuple(lines)
    kept, used = list[str](), _LABEL_TOKENS
    for line in lines:
        used += count_tokens(line)
        if used > budget:
            break
        kept.append(line)
    return (*kept, f"(... {len(lines) - len(kept)} more lines)")
