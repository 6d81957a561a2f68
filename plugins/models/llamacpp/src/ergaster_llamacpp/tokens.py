"""Counting the tokens of a request with the server's own template and tokenizer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ergaster.errors import ProviderUnavailable, Unsupported
from ergaster.secrets import Secret

if TYPE_CHECKING:
    from ergaster_support_http import Transport

__all__ = ["count_prompt_tokens"]


async def count_prompt_tokens(transport: Transport, url: str, key: Secret | None, body: bytes) -> int:
    """Return how many tokens the prompt has that the server makes of *body*, a request to Chat Completions.

    Raises:
        Unsupported: If the server at *url* cannot tell, since it is no llama.cpp server or an old one.
        ProviderUnavailable: If it does not answer.
    """
    prompt = await _ask(transport, f"{url}/apply-template", key, body)
    question = {"content": prompt["prompt"], "add_special": True, "parse_special": True}
    answer = await _ask(transport, f"{url}/tokenize", key, json.dumps(question).encode())
    return len(answer["tokens"])


async def _ask(transport: Transport, url: str, key: Secret | None, body: bytes) -> Mapping[str, str]:
    from ergaster_support_http import Request, TransportError

    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key.reveal()}"
    try:
        response = await transport.send(Request(url, body, headers))
    except TransportError as error:
        raise ProviderUnavailable(f"the llama.cpp server did not answer: {error}", provider="llamacpp") from error
    if response.status != http.client.OK:
        raise Unsupported(f"the server at {url} does not count tokens (HTTP {response.status}); it takes a newer llama.cpp")
    answer: Mapping[str, str] = json.loads(response.body)
    return answer
