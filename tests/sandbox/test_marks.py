"""Marks on pictures."""

import io

import pytest
from PIL import Image

from milepost.sandbox.failure import SandboxError
from milepost.sandbox.marks import Box, draw_marks, encode_image
from milepost.sandbox.pool import Pool
from tests.sandbox.conftest import build_world


def test_a_mark_is_a_box_with_a_label_above_it() -> None:
    picture = Image.new("RGB", (100, 100), "white")
    marked = draw_marks(picture, [Box(id="12", x=20, y=40, width=30, height=20)])
    colour = (214, 39, 40)
    assert marked.getpixel((20, 50)) == marked.getpixel((50, 45)) == colour
    assert marked.getpixel((35, 50)) == (255, 255, 255)
    assert marked.getpixel((21, 38)) == colour
    assert picture.getpixel((20, 50)) == (255, 255, 255)


def test_a_label_stays_in_the_picture() -> None:
    picture = Image.new("RGB", (40, 30), "white")
    marked = draw_marks(picture, [Box(id="123", x=30, y=0, width=10, height=10)])
    assert marked.size == (40, 30)
    assert marked.getpixel((39, 1)) != (255, 255, 255)


@pytest.mark.parametrize("encoding", ["png", "jpeg", "webp"])
def test_pictures_are_encoded(encoding: str) -> None:
    encoded = encode_image(Image.new("RGB", (4, 3)), encoding)
    opened = Image.open(io.BytesIO(encoded))
    assert (opened.format, opened.size) == (encoding.upper(), (4, 3))


@pytest.mark.browser
async def test_a_page_is_captured_with_and_without_marks(pool: Pool) -> None:
    async with pool.session(build_world()) as (session, view):
        plain, marked = await session.screenshot("png"), await session.screenshot("png", marks=True)
        assert plain != marked
        assert Image.open(io.BytesIO(marked)).size == (1024, 768)
        assert Image.open(io.BytesIO(await session.screenshot("webp", marks=True))).format == "WEBP"
        again = await session.step("noop()")
        assert again.tree == view.tree


@pytest.mark.browser
@pytest.mark.parametrize(("kind", "part"), [("axtree", '"RootWebArea"'), ("dom", '"documents"')])
async def test_chromiums_own_views_are_captured(pool: Pool, kind: str, part: str) -> None:
    async with pool.session(build_world()) as (session, _):
        assert part in await session.capture(kind)


@pytest.mark.browser
async def test_a_capture_of_a_dead_page_is_a_typed_failure(pool: Pool) -> None:
    session, _ = await pool.open(build_world(tidy=False))
    await session.close()
    with pytest.raises(SandboxError, match="the capture failed"):
        await session.capture("dom")
