import pytest

from milepost.training.preferences.losses import PAIR_LOSSES
from milepost.training.preferences.method import METHODS, Form, Method, Reference, Source

REFERENCE_FREE = {"orpo", "simpo", "cpo", "sft", "best_of_n", "rest"}

PROMISED = [
    "dpo",
    "ipo",
    "hinge",
    "robust",
    "cdpo",
    "kto",
    "apo_zero",
    "apo_down",
    "orpo",
    "simpo",
    "cpo",
    "sppo",
    "bco",
    "discopop",
    "bpo",
    "sdpo",
    "sft",
    "best_of_n",
    "rest",
    "rest_em",
]


def test_every_promised_method_is_there_under_its_own_name() -> None:
    assert set(PROMISED) <= set(METHODS)
    assert all(name == method.name for name, method in METHODS.items())


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
def test_what_a_method_learns_from_fits_its_loss_and_its_reference(method: Method) -> None:
    assert (method.source is Source.PAIRS) == (method.form in PAIR_LOSSES)
    assert (method.source is Source.LABELS) == (method.form is Form.KTO)
    assert method.needs_reference == (method.name not in REFERENCE_FREE)
    assert (method.reference_every > 0) == (method.reference is Reference.STAGE)
    assert method.summary.endswith(".")
    assert method.origin
    assert 0.0 <= method.terms.smoothing < 0.5
