import asyncio

import pytest

from milepost.agents.engines.engine import EngineError, Fault
from milepost.agents.engines.gate import Gate, limit


async def test_a_gate_closes_when_all_have_left_and_lets_nobody_in_until_it_opens() -> None:
    gate, told, leave = Gate(), list[str](), asyncio.Event()

    async def visit(name: str) -> None:
        async with gate:
            told.append(f"{name} in")
            await leave.wait()

    async def close() -> None:
        await gate.close()
        told.append("closed")

    first = asyncio.create_task(visit("a"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(close())
    await asyncio.sleep(0)
    second = asyncio.create_task(visit("b"))
    await asyncio.sleep(0.01)
    assert told == ["a in"]
    leave.set()
    await asyncio.gather(first, closing)
    await asyncio.sleep(0.01)
    assert told == ["a in", "closed"]
    gate.open()
    await second
    assert told == ["a in", "closed", "b in"]


async def test_closing_for_a_while_leaves_a_gate_as_it_was() -> None:
    gate = Gate()
    async with gate.closed():
        entering = asyncio.create_task(gate.__aenter__())
        await asyncio.sleep(0.01)
        assert not entering.done()
    await entering
    await gate.__aexit__()
    await gate.close()
    async with gate.closed():
        pass
    waiting = asyncio.create_task(gate.__aenter__())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()


async def test_a_call_over_its_deadline_is_a_typed_failure_and_other_timeouts_are_not_ours() -> None:
    with pytest.raises(EngineError, match=r"thinking took longer than its deadline of 0\.01 s") as late:
        async with limit(0.01, "thinking"):
            await asyncio.sleep(5)
    assert late.value.fault is Fault.TIMEOUT
    with pytest.raises(TimeoutError, match="the socket's own"):
        async with limit(5, "thinking"):
            raise TimeoutError("the socket's own")
