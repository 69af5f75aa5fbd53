"""How much a session may tell: exact levels on a clock that the test moves."""

from milepost.sandbox.noise import BYTES, FADING_PER_S, IDLE, LIMIT, Noise


def test_what_is_told_adds_up_and_fades() -> None:
    noise = Noise()
    assert not noise.add(0, 0.0, heard=True)
    assert noise.level == 1.0
    assert not noise.add(3 * BYTES, 0.0, heard=True)
    assert noise.level == 5.0
    assert not noise.add(0, 0.0, heard=False)
    assert noise.level == 5.0 + IDLE
    assert not noise.add(0, 1.0, heard=True)
    assert noise.level == 1.0


def test_a_steady_page_is_never_too_much() -> None:
    noise = Noise()
    for second in range(100):
        assert not any(noise.add(0, float(second), heard=True) for _ in range(int(FADING_PER_S)))


def test_too_much_once_is_too_much_for_ever() -> None:
    noise = Noise()
    told = [noise.add(0, 0.0, heard=True) for _ in range(int(LIMIT) + 1)]
    assert told == [False] * int(LIMIT) + [True]
    assert noise.add(0, 1000.0, heard=True)
