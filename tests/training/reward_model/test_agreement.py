from dataclasses import replace

import pytest

from milepost.training.reward_model.agreement import find_kappa, measure_agreement
from milepost.training.reward_model.labels import Choice, Verdict
from tests.training.reward_model.test_labels import ABOUT, say

F, S, T = Choice.FIRST, Choice.SECOND, Choice.TIE


def test_kappa_by_hand() -> None:
    # Observed 3/4; ones 2 F 2 S, others 3 F 1 S: expected (2*3 + 2*1) / 16 = 1/2; kappa (3/4 - 1/2) / (1/2).
    assert find_kappa([(F, F), (F, F), (S, S), (S, F)]) == pytest.approx(0.5)
    assert find_kappa([(F, F), (S, S)]) == 1.0
    assert find_kappa([(F, S), (S, F)]) == -1.0
    assert find_kappa([]) is None
    assert find_kappa([(F, F)]) is None


def verdicts(name: str, choices: list[Choice], lefts: list[Choice]) -> list[Verdict]:
    return [
        say(name, choice, about=replace(ABOUT, id=str(n)), left=left)
        for n, (choice, left) in enumerate(zip(choices, lefts, strict=True))
    ]


def test_agreement_and_what_sways_annotators() -> None:
    # Ada looks at the episodes, Ben presses 1 whatever there is.
    ada = verdicts("ada", [F, F, S, S, T], [F, S, F, S, F])
    ben = verdicts("ben", [F, S, F, S, F], [F, S, F, S, F])
    skipped = say("ben", Choice.SKIP, about=replace(ABOUT, id="9"))
    found = measure_agreement([*ada, *ben, skipped])
    assert (found["verdicts"], found["comparisons"], found["judged_twice"]) == (10, 5, 5)
    assert found["agreement"] == pytest.approx(2 / 5)
    # By chance they agree on 2*3 + 2*2 + 1*0 of 25.
    assert found["kappa"] == pytest.approx((2 / 5 - 10 / 25) / (1 - 10 / 25))
    assert found["position"]["share"] == pytest.approx(7 / 9)
    assert found["length"] == {
        "share": pytest.approx(5 / 9),
        "interval": [pytest.approx(0.2666, abs=1e-3), pytest.approx(0.8112, abs=1e-3)],
        "n": 9,
    }
    assert found["annotators"]["ben"]["left"] == 1.0
    assert (found["annotators"]["ada"]["left"], found["annotators"]["ada"]["ties"]) == (0.5, 1)
    assert found["annotators"]["ben"]["skipped"] == 1
    assert found["annotators"]["ben"]["with_others"] == pytest.approx(2 / 5)


def test_nothing_shared_has_no_agreement() -> None:
    found = measure_agreement([say("ada", F)])
    assert (found["agreement"], found["kappa"], found["annotators"]["ada"]["with_others"]) == (
        None,
        None,
        None,
    )
