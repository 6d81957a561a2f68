"""The local model: its server is found or started at the first call, then spoken to like any other."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from ergaster.contracts.model import Capabilities, Delta, Model, ModelRequest, ModelResponse
from ergaster.errors import InvalidOption, ProviderUnavailable
from ergaster.refs import Ref
from ergaster.secrets import Secret
from ergaster_llamacpp.binary import find_binary
from ergaster_llamacpp.catalogue import DEFAULT_MODEL, CatalogueModel, find_model
from ergaster_llamacpp.download import fetch
from ergaster_llamacpp.plan import plan_server
from ergaster_llamacpp.server import RunningServer, find_or_start
from ergaster_llamacpp.settings import ENV_KEY, ENV_URL, LlamaCppSettings, cache_folder
from ergaster_llamacpp.sources import Cancelled
from ergaster_llamacpp.starter import Starter

if TYPE_CHECKING:
    from ergaster_support_http import Transport
    from ergaster_support_openai_wire import WireModel

__all__ = ["LlamaCppModel", "llamacpp"]

_CAPABILITIES = Capabilities(count_tokens=True)


def llamacpp(ref: Ref, settings: LlamaCppSettings | None = None) -> LlamaCppModel:
    """Return the model that *ref* names: `llamacpp`, `llamacpp:NAME` of the catalogue, or `llamacpp:/path/to/file.gguf`.

    Nothing is opened, downloaded or started until the first call.

    Raises:
        InvalidRef: If the catalogue has no such name.
        InvalidOption: If an option is out of bounds.
    """
    settings = settings or LlamaCppSettings()
    for name in ("context", "parallel", "max_tokens", "timeout", "start_timeout"):
        if getattr(settings, name) <= 0:
            raise InvalidOption(
                f"the option {name!r} of llamacpp is {getattr(settings, name)}; it has to be above 0",
                kind="model",
                name="llamacpp",
            )
    url = settings.base_url or os.environ.get(ENV_URL)
    if url:
        key = settings.api_key or (Secret(os.environ[ENV_KEY]) if os.environ.get(ENV_KEY) else None)
        return LlamaCppModel(ref.rest or "default", evolve(settings, base_url=url, api_key=key))
    if _is_path(ref.rest):
        path = Path(ref.rest).expanduser()
        return LlamaCppModel(path.stem, settings, weights=path)
    entry = find_model(ref.rest or DEFAULT_MODEL)
    if settings.context > entry.context_window:
        raise InvalidOption(
            f"{entry.name} handles {entry.context_window} tokens at most, and the option 'context' is {settings.context}",
            kind="model",
            name="llamacpp",
        )
    return LlamaCppModel(entry.name, settings, weights=entry)


def _is_path(rest: str) -> bool:
    return rest.lower().endswith(".gguf") or "/" in rest or os.sep in rest or rest.startswith(("~", "."))


@frozen
class _Connection:
    """A server and the client for it.

    Attributes:
        url: The server's address, without a path.
        key: Its key.
        transport: Sends the requests.
        wire: Speaks the protocol.
        server: The server, if it is one of ours.
    """

    url: str
    key: Secret | None
    transport: Transport = field(repr=False)
    wire: WireModel
    server: RunningServer | None = field(default=None)

    def is_lost(self) -> bool:
        """Say whether the server was ours and has ended."""
        return self.server is not None and not self.server.is_alive()


class LlamaCppModel(Model):
    """A model in a llama.cpp server on this machine.

    Equal models share one server, between processes too; it stays for `keep_alive` seconds after the last process
    that used it. A server that ends in the middle of a call makes the call fail with `ProviderUnavailable`, and the
    next call starts another.

    Args:
        name: The model's name.
        settings: The options.
        weights: What to run: a model of the catalogue or a file; None when `settings.base_url` says where it runs.
    """

    provider = "llamacpp"

    def __init__(self, name: str, settings: LlamaCppSettings, *, weights: CatalogueModel | Path | None = None) -> None:
        self.name = name
        self._settings = settings
        self._weights = weights
        window = None if weights is None else settings.context
        self.capabilities = evolve(_CAPABILITIES, context_window=window, tools=settings.tools)
        self._starter = Starter(self._start)
        self._connection: _Connection | None = None

    @property
    def server_url(self) -> str | None:
        """The address of the server; None until the first call has found or started it."""
        connection = self._connection
        if connection is not None and connection.server is not None:
            return connection.server.url
        return self._settings.base_url

    async def open(self) -> None:
        """Get everything ready that the first call would: download the weights, start the server.

        Raises:
            DownloadFailed: If the weights cannot be had.
            BinaryNotFound: If there is no llama.cpp server to start.
            ServerFailed: If it does not start.
        """
        await self._connected()

    def request_count(self) -> int:
        """Return how many completions the server has begun since it was started, as the server itself counts.

        Raises:
            Unsupported: If the server is not one that Ergaster started, or none is running yet.
        """
        from ergaster_llamacpp.counting import request_count

        return request_count(self.server_url or "", cache_dir=self._settings.cache_dir)

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """Return the whole reply to *request*."""
        connection = await self._connected()
        try:
            return await connection.wire.generate(request)
        except ProviderUnavailable as error:
            self._raise_if_lost(connection, error)
            raise

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelResponse, None]:
        """Yield pieces as they arrive, then the whole reply."""
        connection = await self._connected()
        try:
            async with aclosing(connection.wire.stream(request)) as items:
                async for item in items:
                    yield item
        except ProviderUnavailable as error:
            self._raise_if_lost(connection, error)
            raise

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return how many input tokens *request* has, by the server's own template and tokenizer."""
        from ergaster_llamacpp.tokens import count_prompt_tokens
        from ergaster_support_openai_wire import ChatEncoder

        connection = await self._connected()
        body = ChatEncoder(self.provider, self.name, capabilities=self.capabilities).encode(request, request.settings)
        return await count_prompt_tokens(connection.transport, connection.url, connection.key, body)

    async def close(self) -> None:
        """Let go of the server; it stops when no process needs it. A later call finds or starts one again."""
        connection = self._connection
        if connection is None:
            return
        await connection.wire.close()
        if connection.server is not None:
            connection.server.release()
            self._connection = None

    async def _connected(self) -> _Connection:
        if self._connection is None and self._settings.base_url is not None:
            self._connection = self._connect_to(self._settings.base_url, self._settings.api_key)
        elif self._connection is None:
            server = await self._starter.get()
            known: _Connection | None = self._connection  # another task may have been quicker
            if known is not None and known.server is server:
                return known
            self._connection = self._connect_to(server.url, server.api_key, server)
        return self._connection

    def _connect_to(self, url: str, key: Secret | None, server: RunningServer | None = None) -> _Connection:
        from ergaster_support_http import AiohttpTransport
        from ergaster_support_openai_wire import CompatibleProvider, CompatibleSettings

        url, transport = url.rstrip("/").removesuffix("/v1"), AiohttpTransport()
        protocol = CompatibleProvider(self.provider, env_key=ENV_KEY, key_required=False, capabilities=self.capabilities)
        options = CompatibleSettings(
            base_url=f"{url}/v1",
            api_key=key,
            timeout=self._settings.timeout,
            max_tokens=self._settings.max_tokens,
            temperature=self._settings.temperature,
            transport=transport,
        )
        return _Connection(url, key, transport, protocol(Ref(self.provider, self.name), options), server)

    def _start(self, cancelled: threading.Event) -> RunningServer:
        """Do what is slow, in a thread: find the program, fetch the weights, start the server."""

        def check() -> None:
            if cancelled.is_set():
                raise Cancelled

        settings, weights = self._settings, self._weights
        assert weights is not None  # noqa: S101 - without weights there is a connection from the beginning
        cache = cache_folder(settings.cache_dir)
        binary = find_binary(settings.binary)
        template = Path(settings.chat_template).expanduser() if settings.chat_template else None
        if isinstance(weights, CatalogueModel):
            template = template or weights.template_path
            weights = fetch(weights, cache / "models", offline=settings.offline, cancelled=cancelled)
        plan = plan_server(binary, weights, template, settings)
        return find_or_start(plan, cache, model=self.name, start_timeout=settings.start_timeout, check=check)

    def _raise_if_lost(self, connection: _Connection, error: ProviderUnavailable) -> None:
        if not connection.is_lost() or connection.server is None:
            return
        if self._connection is connection:
            self._connection = None
            connection.server.release()
        raise ProviderUnavailable(
            f"the llama.cpp server for {self.name} ended during the call; the next call starts another. Its log ends"
            f" with:\n{connection.server.last_words()}",
            provider=self.provider,
            model=self.name,
        ) from error
