"""The client of a vLLM server: what goes over the wire, and what a server that is none is told. At the end the server itself."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen3ForCausalLM

from milepost.agents.agent import Sampling
from milepost.agents.engines.choice import make_engine
from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.handover import Weights
from milepost.agents.engines.probe import score_completion
from milepost.agents.engines.vllm import VllmEngine
from milepost.agents.engines.vllm_backend import Served, name_picture
from milepost.agents.engines.vllm_server import VllmServer, read_choice
from milepost.agents.llm import save_policy
from milepost.agents.sight import SILENT, find_sight
from milepost.agents.tiny.model import build_model
from tests.agents.engines.web import Answer, Heard, WebServer
from tests.agents.seeing import draw_picture, make_seeing

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


async def test_a_picture_goes_beside_the_ids_and_the_servers_own_row_comes_back() -> None:
    reply = {
        "choices": [
            {
                "token_ids": [5],
                "logprobs": {"content": [{"token_id": 5, "logprob": -0.5}]},
                "finish_reason": "length",
            }
        ],
        "usage": {},
        "prompt_token_ids": [7, 9, 9, 8],
    }
    with WebServer(
        lambda heard, n: Answer(body=reply) if "inference" in heard.path else answer_well(heard, n)
    ) as web:
        server = VllmServer(web.url)
        await server.launch(Weights(folder=Path("/x"), sees=True))
        asked = server.sample((7, 9, 8), Sampling(), stops=(1,), salt="2-1", silent=(9,), picture=b"PNG")
        assert await asked == Served(ids=(5,), logps=(-0.5,), stop="length", cached=0, prompt=(7, 9, 9, 8))
        await server.sample((7, 8), Sampling(), stops=(1,), salt="2-1", silent=(9,))
    assert [heard.path for heard in web.heard][1:] == [
        *("/collective_rpc", "/reset_prefix_cache"),
        *("/inference/v1/generate", "/inference/v1/generate"),
    ]
    body, text = web.heard[3].body, web.heard[4].body
    assert body["token_ids"] == [7, 9, 8]
    assert body["cache_salt"] == "2-1"
    assert body["sampling_params"]["logit_bias"] == {"9": SILENT}
    assert body["sampling_params"]["stop_token_ids"] == [1]
    assert body["content_parts"] == [
        {"type": "image_url", "url": "data:image/png;base64,UE5H", "uuid": name_picture(b"PNG", "2-1")}
    ]
    assert "content_parts" not in text


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
        ("/v1/completions", Answer(status=403, body={"detail": "restart with --enable-scale-out"}), "answered 403: restart with", Fault.SETUP),
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


@asynccontextmanager
async def run_server(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> AsyncIterator[VllmEngine]:
    """Start a server of vLLM with a policy, and give an engine that serves by it, not yet started."""
    save_policy(model, tokenizer, folder)
    url = f"http://127.0.0.1:{(port := find_port())}"
    options = {
        "--model": str(folder),
        "--port": str(port),
        "--host": "127.0.0.1",
        "--dtype": "float32",
        "--logprobs-mode": "processed_logprobs",
        "--kv-cache-memory-bytes": str(2**28),
        "--worker-extension-cls": "milepost.agents.engines.vllm_worker.PolicyReceiver",
    }
    # What `vllm serve` runs; the command itself does not start where vLLM is installed under its CPU build's name.
    program = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
    if find_sight(model) is not None:
        program.append("--enable-scale-out")
    settings = {
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "TORCHDYNAMO_DISABLE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*program, *(word for option in options.items() for word in option)],
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
        )
    engine = make_engine(f"vllm@{url}", model, tokenizer, max_batch=4, log=folder / "unused.log")
    assert isinstance(engine, VllmEngine)
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                assert process.poll() is None, (folder / "server.log").read_text()[-3000:]
                try:
                    if (await http.get(f"{url}/health")).status_code == 200:
                        break
                except httpx.HTTPError:
                    await asyncio.sleep(0.5)
        yield engine
    finally:
        await engine.close()
        process.terminate()
        process.wait(timeout=60)


@pytest.mark.vllm
@pytest.mark.timeout(1800)
async def test_a_real_server_takes_weights_and_serves_tokens(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    async with run_server(model, tokenizer, tmp_path) as engine:
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


@pytest.mark.vllm
@pytest.mark.timeout(1800)
async def test_a_real_server_takes_pictures_beside_token_ids(tmp_path: Path) -> None:
    model, tokenizer = make_seeing("idefics3")
    sight = find_sight(model)
    assert sight is not None
    async with run_server(model, tokenizer, tmp_path) as engine:
        await engine.start(model, 0)
        for version, policy in enumerate((model, make_seeing("idefics3", seed=5)[0])):
            await engine.update_weights(policy, version)
            for picture in (draw_picture(10), draw_picture(240, (40, 80)), None):
                prompt = sight.encode([{"role": "user", "content": "Which button?"}], picture)
                served = await engine.generate(prompt, Sampling(seed=3, max_tokens=12), picture)
                own = score_completion(policy, prompt, served.completion_ids, picture=picture)
                assert served.logps == pytest.approx(own, abs=1e-4)
        assert engine.counts.reloads == 0
