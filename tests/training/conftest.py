"""Torch takes one thread in these tests: the models are tiny, and the test workers share the cores."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
