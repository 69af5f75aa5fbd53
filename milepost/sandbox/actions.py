"""The closed set of actions and their text dialect.

One action is one call: `click("12")`, `fill("12", "Ada")`. The text of a model is parsed loosely (words
around the call are ignored) into a frozen dataclass and never executed. The dialect is the one BrowserGym
users know. The same dataclasses give the tool schema, so text and tool calls cannot drift apart.
"""

import ast
import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

MAX_ACTION_CHARS = 100_000
"""Longer action texts are refused: no page needs them, and a parser is an attack surface."""


class ActionError(ValueError):
    """The text holds no action that could be parsed; the message is shown to the agent."""


@dataclass(frozen=True, slots=True)
class Click:
    """Click an element."""

    element: str


@dataclass(frozen=True, slots=True)
class Fill:
    """Replace the content of a field with text."""

    element: str
    text: str


@dataclass(frozen=True, slots=True)
class Press:
    """Focus an element and press a key or combination, such as Enter or Control+a."""

    element: str
    keys: str


@dataclass(frozen=True, slots=True)
class SelectOption:
    """Choose an option of a select element by its visible text."""

    element: str
    option: str


@dataclass(frozen=True, slots=True)
class Scroll:
    """Scroll the page by pixels, right and down."""

    dx: int
    dy: int


@dataclass(frozen=True, slots=True)
class Goto:
    """Open a URL of the episode's own sites."""

    url: str


@dataclass(frozen=True, slots=True)
class Back:
    """Go back in the tab's history."""


@dataclass(frozen=True, slots=True)
class AcceptDialog:
    """Accept the open dialog, with text for a prompt."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class DismissDialog:
    """Dismiss the open dialog."""


@dataclass(frozen=True, slots=True)
class Extract:
    """Read an element's full text; what was read is logged."""

    element: str


@dataclass(frozen=True, slots=True)
class ListFiles:
    """List the files of the workspace."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Read a text file of the workspace."""

    path: str


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write a text file of the workspace."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class MoveFile:
    """Move or rename a file of the workspace."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Delete a file of the workspace."""

    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Give the final answer and end the episode."""

    text: str


@dataclass(frozen=True, slots=True)
class ReportInfeasible:
    """State that the task cannot be done, and end the episode."""

    reason: str


@dataclass(frozen=True, slots=True)
class Noop:
    """Do nothing for some milliseconds, at most 10,000."""

    ms: int = 0


Action = (
    Click
    | Fill
    | Press
    | SelectOption
    | Scroll
    | Goto
    | Back
    | AcceptDialog
    | DismissDialog
    | Extract
    | ListFiles
    | ReadFile
    | WriteFile
    | MoveFile
    | DeleteFile
    | Answer
    | ReportInfeasible
    | Noop
)
"""Everything an agent can do. Closed: a new action is a new member here and a case in the session."""


def _verb(cls: type) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")


ACTION_TYPES: Mapping[str, type] = {_verb(cls): cls for cls in typing.get_args(Action)}
"""Every action class by its verb in the text dialect."""

_CALL = re.compile(r"\b(" + "|".join(sorted(ACTION_TYPES, key=len, reverse=True)) + r")\s*\(")
_ANY_CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")


def render_action(action: Action) -> str:
    """Give an action's canonical text, e.g. `fill("12", "Ada")`."""
    values = [getattr(action, f.name) for f in dataclasses.fields(action)]
    return f"{_verb(type(action))}({', '.join(orjson.dumps(v).decode() for v in values)})"


def signature(verb: str) -> str:
    """Give a verb's signature for messages and prompts, e.g. `fill(element, text)`."""
    fields = dataclasses.fields(ACTION_TYPES[verb])
    shown = [f.name if f.default is dataclasses.MISSING else f"{f.name}={f.default!r}" for f in fields]
    return f"{verb}({', '.join(shown)})"


def parse_action(text: str) -> Action:
    """Parse the first action call in `text`; words around it are ignored.

    Raises:
        ActionError: no call, an unknown verb, or wrong arguments; says what was expected.
    """
    if len(text) > MAX_ACTION_CHARS:
        raise ActionError(f"action text has {len(text)} characters; at most {MAX_ACTION_CHARS} are read")
    match = _CALL.search(text)
    if match is None:
        raise ActionError(_no_call_message(text))
    call = _cut_call(text, match)
    try:
        node = ast.parse(call, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ActionError(f"cannot read {_short(call)}; expected {signature(match[1])}") from None
    assert isinstance(node, ast.Call)
    return _build(match[1], node)


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
    raise ActionError(f"unfinished call {_short(text[match.start() :])}; expected {signature(match[1])}")


def _build(verb: str, node: ast.Call) -> Action:
    cls = ACTION_TYPES[verb]
    fields = dataclasses.fields(cls)
    if len(node.args) > len(fields):
        raise ActionError(
            f"{verb} takes {len(fields)} arguments, got {len(node.args)}; expected {signature(verb)}"
        )
    given: dict[str, object] = {}
    pairs = list(zip((f.name for f in fields), node.args, strict=False))
    pairs += [(k.arg or "**", k.value) for k in node.keywords]
    hints = typing.get_type_hints(cls)
    for name, value in pairs:
        if name not in hints or name in given:
            raise ActionError(
                f"{verb} got an unexpected or repeated argument {name!r}; expected {signature(verb)}"
            )
        given[name] = _literal(verb, name, value, hints[name])
    for f in fields:
        if f.name not in given and f.default is dataclasses.MISSING:
            raise ActionError(f"{verb} lacks {f.name!r}; expected {signature(verb)}")
    return typing.cast(Action, cls(**given))


def _literal(verb: str, name: str, node: ast.expr, wanted: type) -> object:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ActionError(f"{verb}: {name} must be a plain value; expected {signature(verb)}") from None
    if wanted is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if wanted is int and isinstance(value, float) and value == int(value):
        return int(value)
    if type(value) is not wanted:
        raise ActionError(f"{verb}: {name} must be {wanted.__name__}, got {type(value).__name__}")
    return value


def tool_schemas() -> list[dict[str, object]]:
    """Give the actions as JSON tool definitions (OpenAI style `function` entries)."""
    return [_tool_schema(verb, cls) for verb, cls in ACTION_TYPES.items()]


def _tool_schema(verb: str, cls: type) -> dict[str, object]:
    json_types: Mapping[type | types.UnionType, str] = {str: "string", int: "integer"}
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    return {
        "type": "function",
        "function": {
            "name": verb,
            "description": (cls.__doc__ or "").strip(),
            "parameters": {
                "type": "object",
                "properties": {f.name: {"type": json_types[hints[f.name]]} for f in fields},
                "required": [f.name for f in fields if f.default is dataclasses.MISSING],
                "additionalProperties": False,
            },
        },
    }


def action_from_tool_call(name: str, arguments: Mapping[str, object]) -> Action:
    """Build an action from a tool call's name and decoded JSON arguments.

    Raises:
        ActionError: unknown tool or wrong arguments.
    """
    if name not in ACTION_TYPES:
        raise ActionError(f"unknown action {name!r}; expected one of {', '.join(sorted(ACTION_TYPES))}")
    arguments_text = ", ".join(f"{key}={value!r}" for key, value in arguments.items() if key.isidentifier())
    if len(arguments) != sum(key.isidentifier() for key in arguments):
        raise ActionError(f"{name} got arguments {sorted(arguments)}; expected {signature(name)}")
    return parse_action(f"{name}({arguments_text})")
