from milepost.agents.engines.vllm_backend import name_picture


def test_a_picture_has_one_name_under_one_set_of_weights() -> None:
    name = name_picture(b"a page", "1-0")
    assert name == name_picture(b"a page", "1-0")
    assert len({name, name_picture(b"another", "1-0"), name_picture(b"a page", "1-1")}) == 3
