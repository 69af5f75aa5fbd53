"""Opens closed shadow roots to the walker: a script cannot reach them, DevTools can.

Patching `attachShadow` would show to the page, and asking DevTools for the whole document would cost more than
the observation itself. So the walker names the few elements that may have a closed root (they show something
though they hold nothing), and DevTools is asked about each of them once in its life. The root is handed to the
walker's isolated world alone: the page sees nothing of it.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from milepost.sandbox.cdp import CDPConnection, CDPError

_GROUP = "milepost-hosts"
_ADOPT = "function (root) { milepost.adopt(this, root); }"


async def open_closed_roots(
    value: Mapping[str, Any], connection: CDPConnection, session: str, world: int | None
) -> bool:
    """Hand the walker the closed roots of the elements that its last reading suspects.

    Gives whether there were any, so that the page must be read again.

    Raises:
        CDPError: the document went away meanwhile.
    """
    if not value["hosts"]:
        return False

    def send(method: str, **params: Any) -> asyncio.Future[dict[str, Any]]:
        return connection.send(method, params, session)

    reply = await send("Runtime.evaluate", expression="milepost.hosts()", contextId=world, objectGroup=_GROUP)
    if "exceptionDetails" in reply:
        raise CDPError("the document was replaced")
    array = reply["result"]["objectId"]
    listed = await send("Runtime.getProperties", objectId=array, ownProperties=True)
    hosts = [p["value"]["objectId"] for p in listed["result"] if p["name"].isdigit()]
    nodes = await asyncio.gather(*(send("DOM.describeNode", objectId=host) for host in hosts))
    found = [
        (host, root["backendNodeId"])
        for host, node in zip(hosts, nodes, strict=True)
        for root in node["node"].get("shadowRoots", ())
        if root["shadowRootType"] == "closed"
    ]
    for host, number in found:
        root = await send(
            "DOM.resolveNode", backendNodeId=number, executionContextId=world, objectGroup=_GROUP
        )
        handed = [{"objectId": root["object"]["objectId"]}]
        await send("Runtime.callFunctionOn", functionDeclaration=_ADOPT, objectId=host, arguments=handed)
    connection.post("Runtime.releaseObjectGroup", {"objectGroup": _GROUP}, session)
    return bool(found)
