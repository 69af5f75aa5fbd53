"""Reads rules from YAML or JSON text, and says of every mistake in which line and column it stands.

A small and safe part of YAML: mappings, lists and plain values. Only `true` and `false` are booleans (never `yes`
or `on`), numbers with a point keep their exact text, dates stay text. Tags, anchors, merge keys and repeated keys
are refused. JSON is read by the same reader, so its mistakes have places too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from milepost.milestones.spec import Spec
from milepost.milestones.spec_error import SpecError, suggest

MAX_CHARS = 1_000_000
MAX_DEPTH = 60

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a text, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A text as data, with the place of every entry."""

    name: str
    data: Any
    places: Mapping[Path_, Place] = field(default_factory=dict)
    """By path of keys and indexes: where an entry's key, or a list's item, begins."""

    def locate(self, path: Path_) -> Place:
        """Give the place of a path, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(1, 1)


def read_spec(path: Path, params: Mapping[str, Any] | None = None) -> Spec:
    """Read a spec from a `.yaml`, `.yml` or `.json` file.

    Args:
        path: the file.
        params: what `$name` stands for in it, see `fill_params`.

    Raises:
        SpecError: `file:line:column: what is wrong`.
        OSError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    return compile_spec(read_source(text, str(path)), params)


def parse_spec(text: str, name: str = "spec", params: Mapping[str, Any] | None = None) -> Spec:
    """Read a spec from YAML or JSON text; the same rules give the same canonical bytes as in Python.

    Args:
        text: the text.
        name: what to call it in messages.
        params: what `$name` stands for in it, see `fill_params`.

    Raises:
        SpecError: `name:line:column: what is wrong`.
    """
    return compile_spec(read_source(text, name), params)


def compile_spec(source: Source, params: Mapping[str, Any] | None = None) -> Spec:
    """Turn a text's data into rules.

    Raises:
        SpecError: `name:line:column: what is wrong`.
    """
    try:
        data = source.data if params is None else fill_params(source.data, params)
        return Spec.from_record(data)
    except SpecError as error:
        place = source.locate(error.path)
        raise SpecError(f"{source.name}:{place.line}:{place.column}: {error}", *error.path) from None


_PARAM = re.compile(
    r"\$(?:(?P<braced>\{[A-Za-z_][A-Za-z0-9_.]*\})|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>\$))"
)


def fill_params(data: Any, params: Mapping[str, Any], path: Path_ = ()) -> Any:
    """Put parameters in the place of `$name`, `${name}` and, for a mapping's entry, `${name.entry}`.

    A text that is nothing but a parameter becomes its value, of whatever type; inside other text a parameter must be
    text or an integer, and inside `matches` it stands for itself, not for a pattern. `$$` is a dollar sign.

    Raises:
        SpecError: an unknown parameter; names the nearest.
    """
    if isinstance(data, Mapping):
        return {key: fill_params(value, params, (*path, key)) for key, value in data.items()}
    if isinstance(data, list):
        return [fill_params(value, params, (*path, index)) for index, value in enumerate(data)]
    if not isinstance(data, str) or "$" not in data:
        return data
    whole = _PARAM.fullmatch(data)
    if whole is not None and not whole["sign"]:
        return _look_up(whole, params, path)
    literal = path[-1:] == ("matches",)

    def fill(found: re.Match[str]) -> str:
        if found["sign"]:
            return "$"
        value = _look_up(found, params, path)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise SpecError(f"{found[0]} is {type(value).__name__} and cannot stand inside a text", *path)
        return re.escape(str(value)) if literal else str(value)

    return _PARAM.sub(fill, data)


def _look_up(found: re.Match[str], params: Mapping[str, Any], path: Path_) -> Any:
    name = found["name"] or found["braced"][1:-1]
    value: Any = params
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = value if isinstance(value, Mapping) else params
            raise SpecError(f"no parameter {name!r}; {suggest(part, list(known))}", *path)
        value = value[part]
    return value


def read_source(text: str, name: str = "spec") -> Source:
    """Read YAML or JSON text as data with places.

    Raises:
        SpecError: `name:line:column: what is wrong`.
    """
    if len(text) > MAX_CHARS:
        raise SpecError(f"{name}: a spec is at most {MAX_CHARS} characters long, this has {len(text)}")
    if text.lstrip().startswith("{"):
        # JSON may be indented with tabs, YAML may not; the columns stay the same.
        text = re.sub(r"^[ \t]+", lambda blank: blank[0].replace("\t", " "), text, flags=re.MULTILINE)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise SpecError(f"{name}:{where}: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError(f"{name}:1:1: not YAML or JSON: {error}") from None
    if node is None:
        raise SpecError(f"{name}:1:1: a spec is an object, got an empty text")
    builder = _Builder(name)
    data = builder.build(node, ())
    return Source(name=name, data=data, places=builder.places)


_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_TAG = "tag:yaml.org,2002:"
_PLAIN = frozenset(_TAG + word for word in ("str", "int", "float", "bool", "null", "timestamp", "value"))


class _Builder:
    """Builds the data of a text and remembers where everything stands."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: set[int] = set()
        self.places: dict[Path_, Place] = {}

    def build(self, node: yaml.Node, path: Path_) -> Any:
        """Build the data of a node."""
        self.places.setdefault(path, _place(node))
        if len(path) > MAX_DEPTH:
            raise self._refuse(node, "nested too deep; a spec nests its predicates a few levels deep")
        if id(node) in self._seen:
            raise self._refuse(node, "this is used twice by an alias; anchors are not part of a spec")
        self._seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            return self._build_scalar(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._build_mapping(node, path)
        raise self._refuse(node, f"the tag {node.tag} is not part of a spec")

    def _build_mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _TAG + "merge":
                raise self._refuse(key_node, "a key is a plain word; merge keys are not part of a spec")
            key = key_node.value
            if key in built:
                raise self._refuse(key_node, f"the key {key!r} is here twice")
            self.places[(*path, key)] = _place(key_node)
            built[key] = self.build(value_node, (*path, key))
        return built

    def _build_scalar(self, node: yaml.ScalarNode) -> str | int | bool:
        if node.tag not in _PLAIN:
            raise self._refuse(node, f"the tag {node.tag} is not part of a spec")
        try:
            # JSON escapes write one character as two halves.
            text: str = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self._refuse(node, "half a character; write the whole one") from None
        if node.style in ("'", '"', "|", ">"):
            return text
        if node.tag == _TAG + "null":
            raise self._refuse(node, "there is nothing here; write a value, or '' for an empty text")
        if text in ("true", "false"):
            return text == "true"
        return int(text) if _INTEGER.fullmatch(text) else text

    def _refuse(self, node: yaml.Node, message: str) -> SpecError:
        place = _place(node)
        return SpecError(f"{self._name}:{place.line}:{place.column}: {message}")


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)
