import pytest

from milepost.training.overrides import ConfigError, read_override

KEYS = {"run": ["name", "seed"], "optim": ["learning_rate"], "imitation": ["learning_rate", "epochs"]}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("run.seed=3", ("run", "seed", 3)),
        ("run.name=first-light", ("run", "name", "first-light")),
        ("run.name=/tmp/a.b", ("run", "name", "/tmp/a.b")),
        ('run.name="two words"', ("run", "name", "two words")),
        ("optim.learning_rate = 3e-4", ("optim", "learning_rate", 3e-4)),
        ("run.name=13 minutes", ("run", "name", "13 minutes")),
        ("seed=3", ("run", "seed", 3)),
        ('run.name=["a", "b"]', ("run", "name", ["a", "b"])),
    ],
)
def test_an_override_names_a_key_and_a_toml_value(override: str, expected: tuple[str, str, object]) -> None:
    assert read_override(override, KEYS) == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("run.seed", r"expected section\.key=value"),
        ("learning_rate=1", r"several sections have this key; write optim\.learning_rate or imitation\.learning_rate"),
        ("run.sed=1", r"\[run\] has no key 'sed'; did you mean 'seed' in \[run\]\?"),
        ("epoch=1", r"no section has the key 'epoch'; did you mean 'epochs' in \[imitation\]\?"),
        ("zzz=1", r"no section has the key 'zzz'; the sections are run, optim, imitation"),
        ("rum.seed=1", r"there is no section \[rum\]; did you mean \[run\]\?"),
        ("run.name=two words", r"'two words' is not a TOML value"),
    ],
)  # fmt: skip
def test_a_wrong_override_says_how_to_mend_it(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_override(override, KEYS)
