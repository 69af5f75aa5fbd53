"""Shows an environment as BrowserGym's users know it: the same keys, the same accessibility objects.

Agents written for BrowserGym read `axtree_object`, `last_action_error`, `chat_messages` and their like, and answer
with the action text that milepost takes too. The accessibility object is built from milepost's own tree, with the
ids of its elements as `browsergym_id`; pages are not marked, and nothing waits for frames.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from milepost.envs.computer import ComputerEnv
from milepost.envs.spaces import Anything, Unicode
from milepost.sandbox.observation import Element, Observation

_STATES: Mapping[str, tuple[str, Any]] = {
    "checked": ("checked", "true"),
    "mixed": ("checked", "mixed"),
    "disabled": ("disabled", True),
    "expanded": ("expanded", True),
    "collapsed": ("expanded", False),
    "focused": ("focused", True),
    "invalid": ("invalid", "true"),
    "required": ("required", True),
    "selected": ("selected", True),
    "pressed": ("pressed", "true"),
}
"""How a state of the tree is a property of an accessibility node."""


def build_axtree(observation: Observation) -> dict[str, Any]:
    """Build an accessibility object as `Accessibility.getFullAXTree` has it, from the tree."""
    root = _node("0", "RootWebArea", observation.title, [], parent=None, element_id="")
    nodes, path = [root], [(-1, root)]
    for number, element in enumerate(observation.elements, start=1):
        while path[-1][0] >= element.depth:
            path.pop()
        parent = path[-1][1]
        role = "StaticText" if not element.id else element.role
        node = _node(
            str(number),
            role,
            element.name,
            _properties(element),
            parent=parent["nodeId"],
            element_id=element.id,
        )
        if element.value:
            node["value"] = {"type": "string", "value": element.value}
        parent["childIds"].append(node["nodeId"])
        nodes.append(node)
        path.append((element.depth, node))
    return {"nodes": nodes}


def _node(
    node_id: str,
    role: str,
    name: str,
    properties: list[dict[str, Any]],
    *,
    parent: str | None,
    element_id: str,
) -> dict[str, Any]:
    node: dict[str, Any] = {
        "nodeId": node_id,
        "ignored": False,
        "role": {"type": "role", "value": role},
        "name": {"type": "computedString", "value": name},
        "properties": properties,
        "childIds": [],
    }
    if parent is not None:
        node["parentId"] = parent
    if element_id:
        node["browsergym_id"] = element_id
    return node


def _properties(element: Element) -> list[dict[str, Any]]:
    known = (_STATES[state] for state in element.states if state in _STATES)
    return [{"name": name, "value": {"value": value}} for name, value in known]


class BrowserGymEnv(gymnasium.Env[dict[str, Any], str]):
    """A `ComputerEnv` whose observations have BrowserGym's keys.

    Observations: `goal`, `goal_object`, `chat_messages`, `open_pages_urls`, `open_pages_titles`, `active_page_index`,
    `url`, `screenshot`, `axtree_object`, `extra_element_properties`, `focused_element_bid`, `last_action`,
    `last_action_error`, `elapsed_time`. There is no `dom_object`; take milepost's extra `dom` for it.
    """

    metadata = ComputerEnv.metadata

    def __init__(
        self,
        task: str,
        *,
        screenshot: bool = True,
        clock: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        """Prepare the environment.

        Args:
            task: template id.
            screenshot: whether observations hold the picture; without it they are ten times as fast.
            clock: gives the seconds for `elapsed_time`.
            options: see `ComputerEnv`.
        """
        extras = ("screenshot",) if screenshot else ()
        self._env = ComputerEnv(task, extras=extras, **options)
        self._clock = clock
        self._start = clock()
        self._said: list[dict[str, Any]] = []
        self.render_mode = self._env.render_mode
        self.action_space = self._env.action_space
        texts = ("goal", "url", "focused_element_bid", "last_action", "last_action_error")
        others = (
            "chat_messages",
            "goal_object",
            "open_pages_urls",
            "open_pages_titles",
            "axtree_object",
            "extra_element_properties",
        )
        parts: dict[str, spaces.Space[Any]] = {key: Unicode() for key in texts}
        parts |= {key: Anything() for key in others}
        parts["active_page_index"] = spaces.Box(0, 1000, (1,), np.int64)
        parts["elapsed_time"] = spaces.Box(0, np.inf, (1,), np.float64)
        if screenshot:
            width, height = self._env.size
            parts["screenshot"] = spaces.Box(0, 255, (height, width, 3), np.uint8)
        self.observation_space = spaces.Dict(parts)

    @property
    def computer(self) -> ComputerEnv:
        """The environment behind."""
        return self._env

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Open a fresh world, see `ComputerEnv.reset`."""
        super().reset(seed=seed)
        shown, info = self._env.reset(seed=seed, options=options)
        self._start = self._clock()
        self._said = [{"role": "user", "timestamp": 0.0, "message": shown["goal"]}]
        return self._translate(shown), info

    def step(self, action: str) -> tuple[dict[str, Any], SupportsFloat, bool, bool, dict[str, Any]]:
        """Carry out an action text in BrowserGym's dialect, see `ComputerEnv.step`."""
        shown, reward, terminated, truncated, info = self._env.step(action)
        taken = self._env.last_observation.last_action
        if taken.startswith(("answer(", "report_infeasible(")):
            role = "assistant" if taken.startswith("answer(") else "infeasible"
            self._said.append({"role": role, "timestamp": self._clock() - self._start, "message": action})
        return self._translate(shown), reward, terminated, truncated, info

    def _translate(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        view = self._env.last_observation
        focused = next((e.id for e in view.elements if "focused" in e.states), "")
        pictures: dict[str, NDArray[np.uint8]] = {k: shown[k] for k in ("screenshot",) if k in shown}
        return {
            "chat_messages": tuple(self._said),
            "goal": view.goal,
            "goal_object": ({"type": "text", "text": view.goal},),
            "open_pages_urls": _name_pages(view),
            "open_pages_titles": tuple(tab.split(": ", 1)[-1] for tab in view.tabs),
            "active_page_index": np.asarray([_find_active(view.tabs)], dtype=np.int64),
            "url": view.url,
            "axtree_object": build_axtree(view),
            "extra_element_properties": {
                e.id: {"visibility": 0.0 if "offscreen" in e.states else 1.0, "clickable": True}
                for e in view.elements
                if e.id
            },
            "focused_element_bid": focused,
            "last_action": view.last_action,
            "last_action_error": view.last_error,
            "elapsed_time": np.asarray([self._clock() - self._start], dtype=np.float64),
            **pictures,
        }

    def render(self) -> NDArray[np.uint8] | None:
        """Give the page as an array in mode `rgb_array`."""
        return self._env.render()

    def close(self) -> None:
        """Close the episode; the process's browser stays warm."""
        self._env.close()


def _find_active(tabs: Sequence[str]) -> int:
    return next((place for place, tab in enumerate(tabs) if tab.startswith("* ")), 0)


def _name_pages(view: Observation) -> tuple[str, ...]:
    """Give the URL of the page in view in its place; others are not looked at, and so are empty."""
    active = _find_active(view.tabs)
    return tuple(view.url if place == active else "" for place in range(len(view.tabs)))
