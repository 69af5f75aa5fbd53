import numpy as np

from milepost.envs.apps.pages import Link, Look, draw_look, render

LOOK = Look(brand="A & B", hue=205, nav="side")


def render_notice(text: str) -> str:
    links = (Link(label="Home", href="/"), Link(label="Help", href="/help"))
    answer = render("notice.html", look=LOOK, links=links, here="/help", heading="Help", text=text)
    return bytes(answer.body).decode()


def test_text_is_escaped() -> None:
    html = render_notice("<script>alert(1)</script>")
    assert "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>" in html
    assert "<title>A &amp; B</title>" in html


def test_the_current_entry_is_marked() -> None:
    assert '<a href="/">Home</a><a href="/help" aria-current="page">Help</a>' in render_notice("")


def test_the_look_sets_colour_and_layout() -> None:
    html = render_notice("")
    assert ":root{--hue:205}" in html
    assert '<body class="side">' in html


def test_pages_are_never_cached() -> None:
    answer = render("notice.html", look=LOOK, links=(), here="", heading="", text="")
    assert answer.headers["cache-control"] == "no-store"


def test_looks_differ_by_generator_and_repeat_by_seed() -> None:
    brands = ("One", "Two")
    first = [draw_look(np.random.default_rng(seed), brands) for seed in range(20)]
    assert first == [draw_look(np.random.default_rng(seed), brands) for seed in range(20)]
    assert {look.brand for look in first} == {"One", "Two"}
    assert {look.nav for look in first} == {"top", "side"}
