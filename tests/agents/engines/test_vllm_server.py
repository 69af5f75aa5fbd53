"""The client of a vLLM server: what goes over the wire, and what a server that is none is told. At the end the server itself."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.agent import Sampling
from milepost.agents.engines.choice import make_engine
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.handover import Weights
from milepost.agents.engines.probe import score_completion
from milepost.agents.engines.vllm import Served, VllmEngine
from milepost.agents.engines.vllm_server import VllmServer, read_choice
from milepost.agents.tiny.model import build_model
from tests.agents.engines.web import Answer, Heard, WebServer

WEIGHTS = Weights(folder=Path("/x"))

REPLY: dict[str, Any] = {
    "choices": [
        {"token_ids": [5, 1], "logprobs": {"token_logprobs": [-0.5, -0.25]}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens_details": {"cached_tokens": 16}},
}


def answer_well(heard: Heard, number: int) -> Answer:
    if heard.path == "/v1/models":
        return Answer(body={"data": [{"id": "served"}]})
    return Answer(body=REPLY if heard.path == "/v1/completions" else b"")


async def test_token_ids_go_in_and_out_and_nothing_is_left_to_the_servers_defaults() -> None:
    with WebServer(answer_well) as web:
        server = VllmServer(f"{web.url}/v1")
        await server.launch(Weights(folder=Path("/shared/000000")))
        served = await server.sample((7, 8), Sampling(seed=2**63 + 1, max_tokens=4), stops=(1,), salt="1-0")
        await server.sleep()
        await server.wake()
    assert served == Served(ids=(5, 1), logps=(-0.5, -0.25), stop="stop", cached=16)
    assert [heard.path for heard in web.heard] == [
        *("/v1/models", "/collective_rpc", "/reset_prefix_cache", "/v1/completions"),
        *("/sleep?level=1", "/wake_up"),
    ]
    assert web.heard[1].body == {"method": "receive_policy", "args": ["/shared/000000"]}
    assert web.heard[3].body == {
        "model": "served",
        "prompt": [7, 8],
        "temperature": 1.0,
        "max_tokens": 4,
        "seed": 1,
        "logprobs": 0,
        "return_token_ids": True,
        "stop_token_ids": [1],
        "cache_salt": "1-0",
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }


def test_a_greedy_token_is_certain_and_a_reply_without_ids_is_no_vllms() -> None:
    assert read_choice(REPLY, greedy=True).logps == (0.0, 0.0)
    for broken in ({}, {"choices": [{"text": "hello"}], "usage": {}}, None):
        with pytest.raises(EngineError, match="no token ids with their log-probabilities"):
            read_choice(broken, greedy=False)


@pytest.mark.parametrize(
    ("path", "answer", "reason", "fault"),
    [
        ("/v1/models", Answer(status=404, body={"detail": "Not Found"}), "answered 404: Not Found; is it a vLLM", Fault.SETUP),
        ("/collective_rpc", Answer(status=404, body=b""), r"does not take weights: .* start it with VLLM_SERVER_DEV_MODE=1 and --worker-ext", Fault.SETUP),
        ("/collective_rpc", Answer(status=500, body={"error": {"message": "no receive_policy"}}), "500: no receive_policy", Fault.SETUP),
        ("/v1/completions", Answer(status=400, body={"error": {"message": "too long"}}), "answered 400: too long", Fault.REQUEST),
        ("/v1/completions", Answer(body=b"<html>"), "answered no JSON: '<html>'", Fault.BACKEND),
    ],
)  # fmt: skip
async def test_a_server_that_fails_is_told_in_its_own_words(
    path: str, answer: Answer, reason: str, fault: Fault
) -> None:
    async def use(server: VllmServer) -> None:
        await server.launch(WEIGHTS)
        await server.sample((7,), Sampling(), stops=(), salt="s")

    web = WebServer(lambda heard, n: answer if heard.path == path else answer_well(heard, n))
    with web, pytest.raises(EngineError, match=reason) as failed:
        await use(VllmServer(web.url))
    assert failed.value.fault is fault


async def test_a_server_that_is_gone_is_waited_for_only_if_it_was_there() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with WebServer(answer_well) as web:
        server = VllmServer(web.url, sleep=sleep)
        await server.launch(WEIGHTS)
    with pytest.raises(EngineError, match="nothing answers at") as gone:
        await server.sample((7,), Sampling(), stops=(), salt="s")
    assert gone.value.fault is Fault.DIED
    with pytest.raises(EngineError, match=r"start it, see docs/engines\.md"):
        await server.launch(WEIGHTS)
    assert waits == [1.0] * 59
    with pytest.raises(EngineError, match=r"start it, see docs/engines\.md"):
        await VllmServer(web.url, sleep=sleep).launch(WEIGHTS)
    assert len(waits) == 59


async def test_a_server_is_sent_no_adapter() -> None:
    with WebServer(answer_well) as web:
        with pytest.raises(EngineError, match="whole weights, not adapters") as refused:
            await VllmServer(web.url).launch(Weights(folder=Path("/x"), adapter=Path("/y"), rank=2))
        assert refused.value.fault is Fault.SETUP
        assert [heard.path for heard in web.heard] == ["/v1/models"]


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.vllm
@pytest.mark.timeout(1800)
async def test_a_real_server_takes_weights_and_serves_tokens(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    url = f"http://127.0.0.1:{(port := find_port())}"
    options = {
        "--model": str(tmp_path),
        "--port": str(port),
        "--host": "127.0.0.1",
        "--dtype": "float32",
        "--logprobs-mode": "processed_logprobs",
        "--kv-cache-memory-bytes": str(2**28),
        "--worker-extension-cls": "milepost.agents.engines.vllm_worker.PolicyReceiver",
    }
    # What `vllm serve` runs; the command itself does not start where vLLM is installed under its CPU build's name.
    program = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
    settings = {
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "TORCHDYNAMO_DISABLE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*program, *(word for option in options.items() for word in option)],
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
        )
    engine = make_engine(f"vllm@{url}", model, tokenizer, max_batch=4, log=tmp_path / "unused.log")
    assert isinstance(engine, VllmEngine)
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                assert process.poll() is None, (tmp_path / "server.log").read_text()[-3000:]
                try:
                    if (await http.get(f"{url}/health")).status_code == 200:
                        break
                except httpx.HTTPError:
                    await asyncio.sleep(0.5)
        await engine.start(model, 0)
        prompt, sampling = tuple(range(4, 304)), Sampling(seed=3, max_tokens=12)
        before = await engine.generate(prompt, sampling)
        assert before.logps == pytest.approx(score_completion(model, prompt, before.completion_ids), abs=1e-3)
        policy = build_model(model.config, seed=11)
        await engine.update_weights(policy, 1)
        after = await engine.generate(prompt, sampling)
        assert after.logps == pytest.approx(score_completion(policy, prompt, after.completion_ids), abs=1e-3)
        assert after.completion_ids != before.completion_ids
        assert engine.counts.reloads == 0
    finally:
        await engine.close()
        process.terminate()
        process.wait(timeout=60)
