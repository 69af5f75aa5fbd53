"""Actions as text and as tool calls.

The text of a model is parsed loosely (words around the call are ignored) into a frozen dataclass and never
executed. The tool schemas come from the same dataclasses.
"""

import ast
import dataclasses
import functools
import re
import typing
from collections.abc import Iterator, Mapping

import orjson

from milepost.sandbox.actions import ACTION_TYPES, Action, name_verb

MAX_ACTION_CHARS = 100_000
"""Longer action texts are refused: no page needs them, and a parser is an attack surface."""

ALIASES: Mapping[str, str] = {
    "double_click": "dblclick",
    "go_back": "back",
    "go_forward": "forward",
    "send_msg_to_user": "answer",
    "tab_close": "close_tab",
    "tab_focus": "focus_tab",
}
"""Other names of verbs, as BrowserGym and its users have them."""


class ActionError(ValueError):
    """The text holds no action that could be parsed; the message is shown to the agent."""


_VERBS = (*ACTION_TYPES, *ALIASES)
_CALL = re.compile(r"\b(" + "|".join(sorted(_VERBS, key=len, reverse=True)) + r")\s*\(")
_ANY_CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")


def render_action(action: Action) -> str:
    """Give an action's canonical text, e.g. `fill("12", "Ada")`."""
    parts = []
    for f in dataclasses.fields(action):
        value = getattr(action, f.name)
        if not f.kw_only:
            parts.append(orjson.dumps(value).decode())
        elif value != f.default:
            parts.append(f"{f.name}={orjson.dumps(value).decode()}")
    return f"{name_verb(type(action))}({', '.join(parts)})"


def signature(verb: str) -> str:
    """Give a verb's signature for messages and prompts, e.g. `fill(element, text)`."""
    shown = []
    for f in dataclasses.fields(ACTION_TYPES[verb]):
        default = "" if f.default is dataclasses.MISSING else f"={orjson.dumps(f.default).decode()}"
        shown.append(f.name + default)
    return f"{verb}({', '.join(shown)})"


def parse_action(text: str) -> Action:
    """Parse the first action call in `text` that can be read; words around it are ignored.

    Raises:
        ActionError: no call, an unknown verb, or wrong arguments; says what was expected.
    """
    return next(_parse_calls(text))


def parse_actions(text: str, *, limit: int) -> tuple[Action, ...]:
    """Parse every action call in `text`, in order.

    Args:
        text: what the model wrote.
        limit: most calls that are carried out at once.

    Raises:
        ActionError: none that can be read, or more than `limit`.
    """
    actions = tuple(_parse_calls(text))
    if len(actions) > limit:
        raise ActionError(f"{len(actions)} actions in one message; at most {limit} are carried out at once")
    return actions


def _parse_calls(text: str) -> Iterator[Action]:
    """Yield the calls that can be read; with none at all, say what is wrong with the first."""
    if len(text) > MAX_ACTION_CHARS:
        raise ActionError(f"action text has {len(text)} characters; at most {MAX_ACTION_CHARS} are read")
    position, wrong, found = 0, "", False
    while (match := _CALL.search(text, position)) is not None:
        try:
            call = _cut_call(text, match)
            action = _parse_call(match[1], call)
        except ActionError as error:
            wrong, position = wrong or str(error), match.end()
            continue
        found, position = True, match.start() + len(call)
        yield action
    if not found:
        raise ActionError(wrong or _no_call_message(text))


def _parse_call(name: str, call: str) -> Action:
    verb = ALIASES.get(name, name)
    try:
        node = ast.parse(call, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ActionError(f"cannot read {_short(call)}; expected {signature(verb)}") from None
    assert isinstance(node, ast.Call)
    return _build(verb, node)


def _no_call_message(text: str) -> str:
    other = _ANY_CALL.search(text)
    if other is not None:
        return f"unknown action {other[1]!r}; expected one of {', '.join(sorted(ACTION_TYPES))}"
    return f'no action found in {_short(text)}; expected a call such as click("12")'


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _cut_call(text: str, match: re.Match[str]) -> str:
    """Cut the call out of the text: up to the parenthesis that closes it outside quotes."""
    quote_char, position, depth = "", match.end(), 1
    while position < len(text):
        char = text[position]
        if quote_char:
            if char == "\\":
                position += 1
            elif char == quote_char:
                quote_char = ""
        elif char in "\"'":
            quote_char = char
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth == 0:
                return text[match.start() : position + 1]
        position += 1
    verb = ALIASES.get(match[1], match[1])
    raise ActionError(f"unfinished call {_short(text[match.start() :])}; expected {signature(verb)}")


def _build(verb: str, node: ast.Call) -> Action:
    cls = ACTION_TYPES[verb]
    fields = dataclasses.fields(cls)
    if len(node.args) > len(fields):
        raise ActionError(
            f"{verb} takes {len(fields)} arguments, got {len(node.args)}; expected {signature(verb)}"
        )
    pairs = list(zip((f.name for f in fields), node.args, strict=False))
    pairs += [(k.arg or "**", k.value) for k in node.keywords]
    given: dict[str, object] = {}
    for name, value in pairs:
        given[name] = _literal(verb, name, value) if name not in given else _refuse(verb, name)
    return _construct(verb, given)


def _refuse(verb: str, name: str) -> typing.NoReturn:
    raise ActionError(f"{verb} got an unexpected or repeated argument {name!r}; expected {signature(verb)}")


def _literal(verb: str, name: str, node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ActionError(f"{verb}: {name} must be a plain value; expected {signature(verb)}") from None


@functools.cache
def _read_hints(cls: type) -> dict[str, object]:
    return typing.get_type_hints(cls)


def _construct(verb: str, given: Mapping[str, object]) -> Action:
    """Build the dataclass from plain values, each checked against its field's type."""
    cls = ACTION_TYPES[verb]
    hints = _read_hints(cls)
    for name in given:
        if name not in hints:
            _refuse(verb, name)
    for f in dataclasses.fields(cls):
        if f.name not in given and f.default is dataclasses.MISSING:
            raise ActionError(f"{verb} lacks {f.name!r}; expected {signature(verb)}")
    values = {
        f.name: _convert(verb, f, given[f.name], hints[f.name])
        for f in dataclasses.fields(cls)
        if f.name in given
    }
    return typing.cast(Action, cls(**values))


def _convert(verb: str, f: "dataclasses.Field[object]", value: object, wanted: object) -> object:
    """Take a value as its field's type; models write `12` for `"12"` and `3.0` for `3`."""
    kinds = typing.get_args(wanted) if isinstance(wanted, type(str | int)) else (wanted,)
    if "json" in f.metadata and not isinstance(value, str):
        return _dump(verb, f.name, value)
    if str in kinds and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if int in kinds and isinstance(value, float) and value.is_integer():
        return int(value)
    if tuple[str, ...] in kinds and isinstance(value, list | tuple):
        if all(isinstance(part, str) for part in value):
            return tuple(value)
    elif type(value) in kinds:
        return value
    raise ActionError(f"{verb}: {f.name} must be {_describe(kinds)}, got {type(value).__name__}")


def _describe(kinds: tuple[object, ...]) -> str:
    return " or ".join("a list of str" if kind == tuple[str, ...] else kind.__name__ for kind in kinds)  # type: ignore[attr-defined]


def _dump(verb: str, name: str, value: object) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        raise ActionError(f"{verb}: {name} must be text or JSON, got {_short(repr(value))}") from None


def tool_schemas(style: typing.Literal["openai", "anthropic"] = "openai") -> list[dict[str, object]]:
    """Give the actions as JSON tool definitions.

    Args:
        style: `openai` wraps each in a `function` entry; `anthropic` has `name` and `input_schema` side by side.
    """
    return [_tool_schema(verb, cls, style) for verb, cls in ACTION_TYPES.items()]


_STRINGS: dict[str, object] = {"type": "array", "items": {"type": "string"}}


def _tool_schema(verb: str, cls: type, style: str) -> dict[str, object]:
    hints = _read_hints(cls)
    fields = dataclasses.fields(cls)
    description = (cls.__doc__ or "").strip()
    parameters = {
        "type": "object",
        "properties": {f.name: _field_schema(f, hints[f.name]) for f in fields},
        "required": [f.name for f in fields if f.default is dataclasses.MISSING],
        "additionalProperties": False,
    }
    if style == "anthropic":
        return {"name": verb, "description": description, "input_schema": parameters}
    return {
        "type": "function",
        "function": {"name": verb, "description": description, "parameters": parameters},
    }


def _field_schema(f: "dataclasses.Field[object]", wanted: object) -> dict[str, object]:
    if "json" in f.metadata:
        return {}
    by_type: Mapping[object, dict[str, object]] = {
        str: {"type": "string"},
        int: {"type": "integer"},
        tuple[str, ...]: _STRINGS,
    }
    return by_type.get(wanted) or {"anyOf": [by_type[kind] for kind in typing.get_args(wanted)]}


def action_from_tool_call(name: str, arguments: Mapping[str, object]) -> Action:
    """Build an action from a tool call's name and decoded JSON arguments.

    Raises:
        ActionError: unknown tool or wrong arguments.
    """
    verb = ALIASES.get(name, name)
    if verb not in ACTION_TYPES:
        raise ActionError(f"unknown action {name!r}; expected one of {', '.join(sorted(ACTION_TYPES))}")
    return _construct(verb, arguments)
