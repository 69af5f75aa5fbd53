from milepost.envs.miniwob.table import SUMMARIES, step_limit, turn_ms


def test_the_table_has_what_the_package_registers() -> None:
    assert len(SUMMARIES) == 128
    unregistered = {"button-delay", "chase-circle", "hover-shape", "moving-items", "simon-says"}
    assert unregistered & set(SUMMARIES) == set()


def test_every_summary_is_a_sentence() -> None:
    assert all(text[0].isupper() and text.endswith(".") and len(text) < 80 for text in SUMMARIES.values())


def test_long_tasks_have_more_steps() -> None:
    assert step_limit("click-test") == 12
    assert step_limit("use-slider") == 120


def test_a_turn_is_a_second_unless_the_page_is_faster() -> None:
    assert turn_ms("click-test") == 1000
    assert turn_ms("stock-market") == 250
