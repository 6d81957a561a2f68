"""Responses that a provider works on without an open connection."""

from __future__ import annotations

import asyncio
from typing import Any

from ergaster.contracts.model import ModelRequest, ModelResponse
from ergaster.errors import MalformedReply, ModelError, ProviderUnavailable
from ergaster_support_http import Request, Response
from ergaster_support_openai_wire._json import JsonDecodeError, load
from ergaster_support_openai_wire.errors import malformed
from ergaster_support_openai_wire.model import Effective, WireModel
from ergaster_support_openai_wire.responses_reply import reply_from

__all__ = ["BackgroundModel"]

_UNFINISHED = {"queued", "in_progress"}


class BackgroundModel(WireModel):
    """A model over Responses whose `generate` starts the work and asks for it until it is done.

    Cancelling the call cancels the work at the provider, too.
    """

    in_background: bool = True
    """Whether the provider works in the background; otherwise this is a model like any other."""
    poll_interval: float = 2.0
    """Seconds between two questions."""

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """Return the whole reply to *request*."""
        if not self.in_background:
            return await super().generate(request)
        effective = self._effective_for(request.settings)
        body = self._codec.encode(request, effective.settings)
        try:
            async with asyncio.timeout(effective.timeout.total):
                value = await self._finished(body, effective)
        except TimeoutError as error:
            raise ProviderUnavailable(
                f"{self.provider} did not finish its work in the background within {effective.timeout.total} s",
                provider=self.provider,
                model=self.name,
            ) from error
        try:
            return reply_from(value, self._known_origin(), seed=body)
        except (KeyError, TypeError, AttributeError) as error:
            raise MalformedReply(f"{self.provider} sent a response without its output", provider=self.provider) from error

    async def _finished(self, body: bytes, effective: Effective) -> dict[str, Any]:
        """Start the work and return the response once it has ended, well or not."""
        path = self._codec.path
        value = self._parsed(await self._respond(self._call(body, effective, path)))
        place = f"{path}/{value.get('id')}"
        try:
            while value.get("status") in _UNFINISHED:
                await asyncio.sleep(self.poll_interval)
                value = self._parsed(await self._respond(self._call(b"", effective, place, "GET")))
        except asyncio.CancelledError:
            await self._give_up(self._call(b"{}", effective, f"{place}/cancel"))
            raise
        return value

    def _parsed(self, response: Response) -> dict[str, Any]:
        try:
            value = load(response.body)
        except JsonDecodeError:
            value = None
        if not isinstance(value, dict):
            raise malformed("a body that is no response object", response.body, self._known_origin())
        return value

    async def _give_up(self, call: Request) -> None:
        """Tell the provider to stop; whether it heard is nothing that a cancelled call can wait long for."""
        task = asyncio.ensure_future(self._respond(call))
        done, _ = await asyncio.wait({task}, timeout=5.0)
        if not done:
            task.cancel()
        elif isinstance(task.exception(), ModelError):
            pass  # the work ends by itself
