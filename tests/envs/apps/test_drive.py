import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from milepost.envs.apps.drive import convert, download, move, rename
from milepost.envs.apps.drive.scene import HOST, draw_store, lock, make_rules, was_changed
from milepost.envs.apps.drive.server import File, Layout, build
from milepost.envs.apps.drive.server import convert as convert_file
from milepost.envs.apps.pages import Look
from milepost.envs.task import LEVELS
from milepost.milestones import Spec, fold
from milepost.sandbox.events import AppChanged, DownloadFinished, Fact, FileCreated
from tests.envs.apps.conftest import Visit, judge, visit, witness

FILE = File(id="d1", name="plan.csv", folder="root", content=b"Month,Total\nMay,7\n")
NOTHING = Fraction(0)
DIGEST = hashlib.sha256(FILE.content).hexdigest()


def finished(path: str = "Downloads/plan.csv", folder: str = "root") -> DownloadFinished:
    url = f"http://{HOST}/folders/{folder}/files/d1/download"
    return DownloadFinished(url=url, path=path, state="completed")


def created(path: str = "Downloads/plan.csv", sha256: str = DIGEST) -> FileCreated:
    return FileCreated(path=path, size=18, sha256=sha256)


def pay(spec: Spec, *facts: Fact) -> tuple[Fraction, bool]:
    progress, hits = fold(spec, witness(*facts))
    return sum((hit.reward for hit in hits), Fraction(0)), progress.goal_reached


def changed(change: str, **data: str) -> AppChanged:
    return AppChanged(app="drive", change=change, data=data)


def open_site(**more: Any) -> Visit:
    values: dict[str, Any] = {
        "look": Look(brand="Shelf", hue=205, nav="top"),
        "root": "My files",
        "folders": draw_store(np.random.default_rng(0), LEVELS["normal"]).layout.folders,
        "files": (FILE, replace(FILE, id="d2", name="other.csv")),
        "rename": "Rename",
        "move": "Move",
        "convert": "Convert",
        "download": "Download",
        "listed_as": "list",
    }
    records: list[tuple[str, Any]] = []
    layout = Layout(**(values | more))
    return Visit(app=build(layout, lambda change, data: records.append((change, data))), records=records)


def change(site: Visit, way: str, value: str) -> tuple[int, dict[str, str]]:
    answer = site.post(f"/folders/root/files/d1/{way}", json.dumps({"value": value}).encode())
    return answer.status, json.loads(answer.text)


def test_a_download_pays_in_three_parts() -> None:
    assert pay(make_rules(FILE), finished(), created()) == (Fraction(7, 4), True)


def test_a_file_that_no_download_stands_behind_pays_nothing() -> None:
    assert pay(make_rules(FILE), created()) == (NOTHING, False)
    assert pay(make_rules(FILE), finished(folder="f1"), created()) == (NOTHING, False)


def test_a_file_of_the_same_name_with_other_content_is_not_the_goal() -> None:
    assert pay(make_rules(FILE), finished(), created(sha256="0")) == (Fraction(5, 4), False)


def test_a_stray_download_costs_tidiness_and_the_goal() -> None:
    stray = created("Downloads/other.csv", "1")
    assert pay(make_rules(FILE), stray, finished(), created()) == (Fraction(3, 2), False)


def test_a_change_must_come_before_the_download() -> None:
    renamed = changed("file.renamed", id="d1", name="plan.csv")
    rule = was_changed("file.renamed", id="d1", name="plan.csv")
    spec = make_rules(FILE, change=rule, may_change=was_changed("file.renamed", id="d1"))
    assert pay(spec, finished(), created()) == (NOTHING, False)
    assert pay(spec, renamed, finished(), created()) == (Fraction(7, 4), True)
    again = changed("file.renamed", id="d1", name="b.csv")
    assert pay(spec, again, renamed, finished(), created())[1]


def test_changing_another_file_misses_the_goal() -> None:
    spec = make_rules(
        FILE, change=was_changed("file.moved", id="d1"), may_change=was_changed("file.moved", id="d1")
    )
    moves = [changed("file.moved", id=file) for file in ("d2", "d1")]
    assert pay(spec, *moves, finished(), created())[1] is False


def test_a_renamed_file_downloads_under_its_new_name() -> None:
    site = open_site()
    assert change(site, "rename", "notes.csv")[0] == 200
    answer = site.get("/folders/root/files/d1/download")
    assert (answer.body, answer.headers["content-disposition"]) == (
        FILE.content,
        'attachment; filename="notes.csv"',
    )
    assert site.records == [("file.renamed", {"id": "d1", "name": "notes.csv", "previous": "plan.csv"})]


def test_a_locked_file_gives_nothing_away_before_its_code() -> None:
    site = open_site(files=(replace(FILE, code="4821"),))
    page = site.get("/folders/root/files/d1")
    assert "Access code" in page.text
    assert "May" not in page.text
    assert site.get("/folders/root/files/d1/download").status == 403
    assert site.post("/folders/root/files/d1/rename", b'{"value": "a.csv"}').status == 403
    refused = site.post("/folders/root/files/d1/unlock", b"code=4822")
    assert "That is not the code of this file" in refused.text
    assert site.records == []
    assert site.post("/folders/root/files/d1/unlock", b"code=+4821").status == 303
    assert site.get("/folders/root/files/d1/download").body == FILE.content
    assert site.records == [("file.unlocked", {"id": "d1", "name": "plan.csv"})]


def test_every_file_of_a_locked_store_has_a_code_of_its_own() -> None:
    store = lock(draw_store(np.random.default_rng(0), LEVELS["normal"]), np.random.default_rng(1))
    codes = [file.code for file in store.layout.files]
    assert len(set(codes)) == len(codes)
    assert all(1000 <= int(code) < 10000 for code in codes)
    assert store.file in store.layout.files


def test_opening_another_locked_file_misses_the_goal() -> None:
    spec = make_rules(FILE, may_change=was_changed("file.unlocked", id="d1"))
    own, other = (changed("file.unlocked", id=file) for file in ("d1", "d2"))
    assert pay(spec, own, finished(), created()) == (Fraction(7, 4), True)
    assert pay(spec, other, own, finished(), created())[1] is False


@pytest.mark.parametrize("name", ["", "a/b.csv", "plan.exe", "plan", "other.csv", "../x.csv"])
def test_a_name_that_is_none_or_taken_is_refused(name: str) -> None:
    site = open_site()
    status, answer = change(site, "rename", name)
    assert status == 422
    assert answer["error"]
    assert site.records == []


def test_a_moved_file_is_where_it_was_put_and_nowhere_else() -> None:
    site = open_site()
    folder = draw_store(np.random.default_rng(0), LEVELS["normal"]).layout.folders[0]
    assert change(site, "move", folder.name) == (200, {"href": f"/folders/{folder.id}/files/d1?done=move"})
    assert site.get("/folders/root/files/d1").status == 404
    assert site.get(f"/folders/{folder.id}/files/d1/download").body == FILE.content
    assert change(open_site(), "move", "Nowhere")[0] == 422


def test_converting_makes_a_copy_in_the_other_format() -> None:
    assert convert_file(FILE, "TSV").content == b"Month\tTotal\nMay\t7\n"
    assert json.loads(convert_file(FILE, "JSON").content) == [{"Month": "May", "Total": "7"}]
    site = open_site()
    assert change(site, "convert", "JSON")[0] == 200
    assert site.get("/folders/root/files/d1-json/download").body == convert_file(FILE, "JSON").content
    assert site.get("/folders/root/files/d1").status == 200
    assert change(site, "convert", "PDF")[0] == 422


def test_what_there_is_not_is_not_found() -> None:
    site = open_site()
    paths = ("/folders/none", "/folders/root/files/none", "/folders/root/files/none/download")
    assert [site.get(path).status for path in paths] == [404] * 3
    assert site.post("/folders/root/files/d1/delete", b"").status == 404


@pytest.mark.parametrize("module", [download, rename, move, convert])
def test_without_a_hint_no_other_file_has_the_name(module: Any) -> None:
    for seed in range(10):
        task = module.TEMPLATE.at("hard").task(seed)
        assert task.params["file"] not in visit(task).get("/").text
        assert judge(task, created(f"Downloads/{task.params['file']}")) == ({}, False)
