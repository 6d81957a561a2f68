"""What a server is started with, worked out before anything runs."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from attrs import frozen

from ergaster.errors import InvalidOption
from ergaster_llamacpp.binary import Binary
from ergaster_llamacpp.settings import LlamaCppSettings

__all__ = ["Plan", "plan_server"]

_MAGIC = b"GGUF"
_PROMPT_CACHE_MIB = 512


@frozen
class Plan:
    """A server to be: equal plans share one server.

    Attributes:
        key: A name for the plan, the same in every process.
        arguments: The command line without port.
        environment: Variables of the server beside those of this process.
        keep_alive: Seconds for which it stays unused.
    """

    key: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    keep_alive: float


def plan_server(binary: Binary, weights: Path, template: Path | None, settings: LlamaCppSettings) -> Plan:
    """Work out the server for a file of weights.

    Raises:
        InvalidOption: If the file of weights or of the template cannot be used.
    """
    weights = _checked_weights(weights)
    arguments = [str(binary.path), "--model", str(weights), "--host", "127.0.0.1", "--jinja", "--metrics"]
    arguments += ["--ctx-size", str(settings.context * settings.parallel), "--parallel", str(settings.parallel)]
    arguments += ["--threads", str(settings.threads or usable_processors())]
    device = settings.device or binary.device
    if device is not None:
        arguments += ["--device", device]
    identity: list[object] = [_fingerprint(weights), _fingerprint(binary.path)]
    if template is not None:
        identity.append(_template_text(template))
        arguments += ["--chat-template-file", str(template.absolute())]
    # Variables instead of flags: an older llama.cpp ignores those that it does not know. Waiting threads sleep, so
    # that a server shares its processors with others.
    environment = {
        **binary.environment,
        "OMP_WAIT_POLICY": "passive",
        "LLAMA_ARG_UI": "0",
        "LLAMA_ARG_CACHE_RAM": str(_PROMPT_CACHE_MIB),
    }
    identity += [arguments, sorted(environment.items()), settings.keep_alive]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    return Plan(key, tuple(arguments), tuple(sorted(environment.items())), settings.keep_alive)


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _checked_weights(weights: Path) -> Path:
    path = weights.expanduser().absolute()
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise InvalidOption(
            f"cannot read the weights at {path}: {error.strerror or error}; name a GGUF file, or a model of the"
            " catalogue (llamacpp:qwen2.5-coder-1.5b)",
            kind="model",
            name="llamacpp",
        ) from error
    if magic != _MAGIC:
        raise InvalidOption(
            f"{path} is no GGUF file: it begins with {magic!r}; llama.cpp reads weights in the GGUF format only",
            kind="model",
            name="llamacpp",
        )
    return path


def _fingerprint(path: Path) -> tuple[str, int, int]:
    facts = path.stat()
    return (str(path), facts.st_size, facts.st_mtime_ns)


def _template_text(template: Path) -> str:
    try:
        return template.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(
            f"cannot read the chat template {template}: {error}; the option 'chat_template' takes the path of a Jinja file",
            kind="model",
            name="llamacpp",
        ) from error
