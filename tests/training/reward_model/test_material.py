from pathlib import Path

from milepost.training.reward_model.material import load_material
from milepost.training.reward_model.pairs import Label, export_pairs
from tests.training.reward_model.materials import make_material
from tests.training.reward_model.test_pairs import record


def test_a_part_is_chosen_by_template() -> None:
    material = make_material(3)
    part = material.select(frozenset(material.keys[:1]))
    assert part.keys == material.keys[:1]
    assert len(part.pairs) == len(material.pairs) / 3
    assert len(part.sides) == 15


def test_sides_are_read_once_and_swapped_ones_known(tmp_path: Path) -> None:
    record(tmp_path, "oracle", [1.0], goal="Go")
    record(tmp_path, "random", [0.0], goal="Go")
    record(tmp_path, "oracle", [1.0], seed=1, goal="Come")
    material = load_material(tmp_path, export_pairs(tmp_path))
    goals = [pair for pair in material.pairs if pair.source is Label.GOAL]
    assert material.swapped == {pair.rejected for pair in goals}
    assert {side.goal for side in material.swapped} == {"Go", "Come"}
    assert set(material.inputs) == set(material.sides)
