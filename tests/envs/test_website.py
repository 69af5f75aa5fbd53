"""Environments on pages of one's own."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import milepost
from milepost.envs.website import build_template
from milepost.milestones import Milestone, milestone, text, when


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "index.html").write_text("<title>Shop</title><a href=/cart.html>Cart</a>")
    (tmp_path / "cart.html").write_text("<title>Cart</title><h1>Your cart</h1>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def reach_cart(address: str) -> Milestone:
    return milestone(
        "cart", reward=1, when=when("navigation_completed", url=text(f"http://{address}/cart.html"))
    )


@pytest.mark.browser
def test_a_page_of_ones_own_is_an_environment(address: str) -> None:
    env = milepost.make(f"http://{address}/", goal="Open the cart.", milestones=[reach_cart(address)])
    observation, _ = env.reset(seed=0)
    assert observation["goal"] == "Open the cart."
    _, reward, terminated, _, info = env.step('click("1")')
    assert (reward, terminated, info["success"]) == (1.0, True, True)
    env.close()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "shop.test", "http://", "http://a@b.test/", "javascript:1"]
)
def test_a_start_that_is_not_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="cannot be the start; expected http"):
        build_template(url, goal="g", milestones=[reach_cart("a.test")])


def test_without_milestones_nothing_could_pay() -> None:
    with pytest.raises(ValueError, match="no milestones; give at least one"):
        build_template("http://a.test/", goal="g", milestones=[])
