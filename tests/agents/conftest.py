import pytest
import torch
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.tiny.model import build_config, build_model
from milepost.agents.tiny.tokenizer import build_tokenizer

WORDS = (
    "goal",
    "page",
    "last",
    "value",
    "button",
    "link",
    "textbox",
    "click",
    "fill",
    "Save",
    "Export",
    "CSV",
)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    return build_tokenizer(WORDS)


@pytest.fixture(scope="session")
def model(tokenizer: PreTrainedTokenizerBase) -> Qwen3ForCausalLM:
    torch.set_num_threads(1)
    config = build_config(len(tokenizer), pad=0, end=1)
    return build_model(config, seed=3)
