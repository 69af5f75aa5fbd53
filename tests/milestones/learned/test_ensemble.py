from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milepost.milestones.learned.ensemble import Ensemble, ModelFormatError, form_opinion, load_ensemble
from milepost.milestones.learned.features import NAMES
from milepost.milestones.learned.gauge import NOTHING_DONE, LearnedScore, open_gauge
from milepost.milestones.learned.reading import WEIGHTS
from milepost.milestones.learned.transition import Transition
from milepost.milestones.router import Standing

F = len(NAMES)
STEP = sum(not name.startswith("last_") for name in NAMES)


def make_model() -> Ensemble:
    """Two members of one hidden unit: tanh of the first feature, times 1 and times 3; all seems honest."""
    w1 = np.zeros((2, F, 1))
    w1[:, 0] = 1.0
    return Ensemble(
        mask_KF=np.ones((2, F)),
        w1_KFH=w1,
        b1_KH=np.zeros((2, 1)),
        w2_KH=np.array([[1.0], [3.0]]),
        reached_S=np.zeros(WEIGHTS),
        honest_S=np.append(np.zeros(WEIGHTS - 1), 60.0),
        gauge=replace(open_gauge(2, F), familiar=1.5),
    )


def gauged(**changes: Any) -> Ensemble:
    model = make_model()
    return replace(model, gauge=replace(model.gauge, **changes))


def rows(*first: float) -> np.ndarray:
    found = np.zeros((len(first), F))
    found[:, 0] = first
    return found


def test_a_return_is_the_sum_over_the_root_of_the_length() -> None:
    score = make_model().score_features(rows(1.0, 1.0, 0.0, 0.0))
    returns = np.array([1.0, 3.0]) * 2 * np.tanh(1.0) / 2
    assert score.mean == pytest.approx(returns.mean())
    assert score.spread == pytest.approx(returns.std())
    assert score.probability == pytest.approx(1 / (1 + np.exp(-returns.mean())))
    assert not score.unfamiliar


def test_a_constant_taken_off_returns_ranks_no_length() -> None:
    plain, centred = make_model(), gauged(centre_K=np.array([1.0, 2.0]))
    for episode in (rows(1.0), rows(1.0, 0.0, 0.0)):
        gap = plain.score_features(episode).mean - centred.score_features(episode).mean
        assert gap == pytest.approx(1.5)


def test_a_member_sees_its_own_features() -> None:
    mask = np.ones((2, F))
    mask[1, 0] = 0.0
    model = replace(make_model(), mask_KF=mask)
    assert model.reward_features(rows(1.0))[:, 0] == pytest.approx([np.tanh(1.0), 0.0])


def test_calibration_takes_the_spread_off() -> None:
    model = gauged(slope=2.0, offset=-1.0, penalty=1.0)
    score = model.score_features(rows(1.0))
    margin = 2.0 * (score.mean - score.spread) - 1.0
    assert score.probability == pytest.approx(1 / (1 + np.exp(-margin)))


def test_how_it_ends_is_read_and_what_looks_like_a_hack_is_worth_less() -> None:
    plain = gauged(pull=1.0)
    ends, ever = np.zeros(WEIGHTS), np.zeros(WEIGHTS)
    ends[STEP], ever[2 * STEP] = 2.0, -3.0
    model = replace(plain, reached_S=ends, honest_S=ever)
    well, badly = model.score_features(rows(0.0, 0.5)), model.score_features(rows(0.5, 0.0))
    assert (well.reached, badly.reached) == (1.0, 0.0)
    assert well.mean - badly.mean == pytest.approx(0.25)
    assert well.probability > badly.probability
    gap = plain.score_features(rows(0.0, 0.5)).mean + 0.25 - well.mean
    assert gap == pytest.approx(2 * np.log1p(np.exp(1.5)))


def test_what_lies_far_from_the_training_is_unfamiliar() -> None:
    model = gauged(mean_F=-np.eye(F)[0])
    assert model.score_features(rows(1.0)).unfamiliar
    assert model.score_episode([]) == NOTHING_DONE


def test_steps_and_episodes_of_transitions_are_scored() -> None:
    step = Transition(goal="g", tree='[1] button "Go"', action='click("1")', changes=())
    model = make_model()
    assert NAMES[0] == "verb_click"
    assert model.score_steps([step, step]).shape == (2, 2)
    assert model.score_episode([step]).mean == pytest.approx(2 * np.tanh(1.0))


def test_a_model_reads_back_as_it_was(tmp_path: Path) -> None:
    model = gauged(slope=1.5, offset=0.25, penalty=0.5)
    model.save(tmp_path / "deep" / "phi.npz")
    loaded = load_ensemble(tmp_path / "deep" / "phi.npz")
    assert loaded.digest == model.digest != make_model().digest
    assert loaded.score_features(rows(0.3)) == model.score_features(rows(0.3))


def test_a_file_that_is_no_model_or_of_other_features_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("no")
    for name in ("a.npz", "missing.npz"):
        with pytest.raises(ModelFormatError, match="is no reward model"):
            load_ensemble(tmp_path / name)
    make_model().save(tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as stored:
        arrays = dict(stored)
    for change in ({"names": np.array(["other"])}, {"reached_S": np.zeros(WEIGHTS + 1)}):
        np.savez(tmp_path / "b.npz", **{**arrays, **change})
        with pytest.raises(ModelFormatError, match="made for other features"):
            load_ensemble(tmp_path / "b.npz")


def test_a_score_becomes_an_exact_opinion() -> None:
    sure = LearnedScore(mean=1.0, spread=0.5, unfamiliar=False, probability=0.03)
    opinion = form_opinion(sure, digest="ab" * 32)
    assert (opinion.value, opinion.confidence) == (Fraction(3, 100), Fraction(97, 100))
    assert opinion.evidence == ("phi:" + "ab" * 8,)
    assert form_opinion(replace(sure, unfamiliar=True), digest="").standing is Standing.ABSTAINED
