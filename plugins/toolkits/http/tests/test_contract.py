import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from ergaster.contracts.toolkit import Toolkit
from ergaster.testing import ToolkitContract
from ergaster_http import Http
from ergaster_support_egress.testing import Peer, reply

PEER = Peer(reply(json.dumps({"answer": 42}).encode(), Content_Type="application/json"))


@pytest.fixture(scope="module", autouse=True)
def peer() -> Iterator[Peer]:
    with PEER:
        yield PEER


class TestHttp(ToolkitContract):
    ref = "http"
    examples: ClassVar = {
        "fetch_url": {"url": PEER.url},
        "http_get": {"url": PEER.url, "headers": {"Accept": "application/json"}},
        "http_send": {"method": "POST", "url": PEER.url, "body": "héllo"},
    }

    def make_toolkit(self, workspace: Path) -> Toolkit:
        return Http(private_hosts=(PEER.place,))
