"""Every error that Ergaster raises.

ErgasterError
├── ConfigError                    ergaster.toml is wrong; all problems at once
├── InvalidRef                     a name that does not follow the grammar
├── PluginError
│   ├── UnknownPlugin              nothing installed has that name
│   ├── PluginConflict             two distributions claim one name
│   ├── PluginLoadFailed           a plugin could not be imported or registered
│   └── InvalidOption              an option the plugin does not know, or of a wrong type
├── SchemaError                    a type that cannot become a JSON Schema
├── InvalidInput                   a value that does not fit its schema
│   └── InvalidOutput              the model's answer does not fit the output schema
├── Unsupported                    the thing asked for cannot be done here
├── ModelError
│   ├── AuthenticationFailed       missing, wrong or forbidden key
│   ├── RateLimited
│   ├── ContextOverflow            the request is longer than the context window
│   ├── ContentRefused
│   ├── BadRequest
│   ├── ProviderUnavailable        overload, time-out, refused or cut connection
│   └── MalformedReply             a reply that is not what the protocol promises
├── ToolError
│   ├── InvalidArguments
│   ├── ToolTimeout
│   └── ToolDenied                 a policy or a person said no
├── RunError
│   ├── LimitReached
│   ├── UnknownRun
│   ├── RunBusy                    another process owns the run
│   ├── RunFenced                  another process took the run over
│   ├── RunFinished                the run has ended; nothing can be added to it
│   ├── RunCancelledError          the run was cancelled
│   └── InvalidDecision            an answer to a question that was not asked
├── StorageError
│   ├── StorageConflict            an optimistic write lost its race
│   ├── StorageUnavailable
│   ├── StorageCorrupt             not a database, or a damaged one
│   ├── StorageFull
│   └── ValueTooLarge
├── AccessDenied                   the thing belongs to somebody else
├── ContentBlocked                 a guardrail stopped it
├── UnsafePath                     a path that leaves its root
└── SyncDoorError                  a synchronous call where it would deadlock

Signals are no errors. A tool raises them to steer the run:

Signal
├── RetryTool                      ask the model to call again, with this hint
├── StopRun                        end the run with this answer
└── PauseRun                       stop here until somebody decides
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

__all__ = [
    "AccessDenied",
    "AuthenticationFailed",
    "BadRequest",
    "ConfigError",
    "ContentBlocked",
    "ContentRefused",
    "ContextOverflow",
    "ErgasterError",
    "InvalidArguments",
    "InvalidDecision",
    "InvalidInput",
    "InvalidOption",
    "InvalidOutput",
    "InvalidRef",
    "LimitReached",
    "MalformedReply",
    "ModelError",
    "PauseRun",
    "PluginConflict",
    "PluginError",
    "PluginLoadFailed",
    "ProviderUnavailable",
    "RateLimited",
    "RetryTool",
    "RunBusy",
    "RunCancelledError",
    "RunError",
    "RunFenced",
    "RunFinished",
    "SchemaError",
    "Signal",
    "StopRun",
    "StorageConflict",
    "StorageCorrupt",
    "StorageError",
    "StorageFull",
    "StorageUnavailable",
    "SyncDoorError",
    "ToolDenied",
    "ToolError",
    "ToolTimeout",
    "UnknownPlugin",
    "UnknownRun",
    "UnsafePath",
    "Unsupported",
    "ValueTooLarge",
]


class ErgasterError(Exception):
    """Base of every error of Ergaster; the message says what happened, to what, and what to do next."""


class ConfigError(ErgasterError):
    """A configuration that cannot be used.

    Attributes:
        problems: One sentence per problem, each naming its path; all of them, not the first.
    """

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *(f"  - {problem}" for problem in problems)]))
        self.problems = tuple(problems)


class InvalidRef(ErgasterError):
    """A reference that is neither `plugin`, `plugin:rest` nor a URL."""


class PluginError(ErgasterError):
    """Base of what goes wrong around plugins.

    Attributes:
        kind: The kind of plugin, such as `model`; empty when it concerns no single kind.
        name: The plugin's name as the user typed it.
    """

    def __init__(self, message: str, *, kind: str = "", name: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.name = name


class UnknownPlugin(PluginError):
    """No installed plugin has that name; the message holds the nearest names and the install line."""


class PluginConflict(PluginError):
    """Two distributions provide the same name; the configuration has to pick one."""


class PluginLoadFailed(PluginError):
    """A plugin is installed but could not be imported or registered."""


class InvalidOption(PluginError):
    """An option that the plugin does not know, or whose value does not fit its type."""


class SchemaError(ErgasterError):
    """A type, or a tool's signature, that cannot become a JSON Schema."""


class InvalidInput(ErgasterError):
    """A value that does not fit its schema.

    Attributes:
        problems: One sentence per problem, each beginning with the path of the value.
    """

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__("; ".join([message, *problems]) if problems else message)
        self.problems = tuple(problems)


class InvalidOutput(InvalidInput):
    """An answer that does not fit the output schema after every attempt to repair it."""


class Unsupported(ErgasterError):
    """What was asked for cannot be done by this plugin; it is never dropped or widened."""


class ModelError(ErgasterError):
    """Base of what a model provider reports.

    Attributes:
        provider: The plugin's name.
        model: The model's name.
        status: The HTTP status, when there was one.
        retry_after: Seconds that the provider asks to wait, when it said so.
        request_id: The provider's name for the request, for its support.
        can_retry: Whether the same request may succeed later.
    """

    default_can_retry: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        can_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id
        self.can_retry = self.default_can_retry if can_retry is None else can_retry


class AuthenticationFailed(ModelError):
    """The key is missing, wrong, or not allowed to do this."""


class RateLimited(ModelError):
    """The provider refuses more requests or tokens for a while."""

    default_can_retry = True


class ContextOverflow(ModelError):
    """The request is longer than the model's context window."""


class ContentRefused(ModelError):
    """The provider refused the content of the request or of the reply."""


class BadRequest(ModelError):
    """The provider does not accept the request as it is."""


class ProviderUnavailable(ModelError):
    """The provider is overloaded, did not answer in time, or the connection failed."""

    default_can_retry = True


class MalformedReply(ModelError):
    """The reply was cut or is not what the protocol promises."""

    default_can_retry = True


class ToolError(ErgasterError):
    """A tool call that failed; the model sees the message.

    Attributes:
        tool: The tool's name.
    """

    def __init__(self, message: str, *, tool: str = "") -> None:
        super().__init__(message)
        self.tool = tool


class InvalidArguments(ToolError):
    """Arguments that do not fit the tool's schema.

    Attributes:
        problems: One sentence per problem, each beginning with the path of the argument.
    """

    def __init__(self, message: str, *, tool: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message, tool=tool)
        self.problems = tuple(problems)


class ToolTimeout(ToolError):
    """The tool did not finish in time; whether it acted is unknown."""


class ToolDenied(ToolError):
    """A policy or a person refused the call; nothing was done."""


class RunError(ErgasterError):
    """Base of what goes wrong with a run.

    Attributes:
        run_id: The run.
    """

    def __init__(self, message: str, *, run_id: str = "") -> None:
        super().__init__(message)
        self.run_id = run_id


class LimitReached(RunError):
    """A hard limit of the run was reached.

    Attributes:
        limit: The field of `Limits` that was reached.
    """

    def __init__(self, message: str, *, run_id: str = "", limit: str = "") -> None:
        super().__init__(message, run_id=run_id)
        self.limit = limit


class UnknownRun(RunError):
    """No run has that id here."""


class RunBusy(RunError):
    """A live process owns the run; wait for it, or resume with `force=True`."""


class RunFenced(RunError):
    """Another process took the run over; this one stopped and wrote nothing more."""


class RunFinished(RunError):
    """The run has ended; it can be read, not continued."""


class RunCancelledError(RunError):
    """The run was cancelled."""


class InvalidDecision(RunError):
    """A decision on a question that was not asked, was decided before, or has expired."""


class StorageError(ErgasterError):
    """Base of what a storage reports."""


class StorageConflict(StorageError):
    """An optimistic write found another version than it expected; nothing was written.

    Attributes:
        expected: The version or sequence number that the writer knew.
        actual: The one that the storage holds, when it said so.
    """

    def __init__(self, message: str, *, expected: int | None = None, actual: int | None = None) -> None:
        super().__init__(message)
        self.expected = expected
        self.actual = actual


class StorageUnavailable(StorageError):
    """The storage cannot be reached, opened or locked in time."""


class StorageCorrupt(StorageError):
    """What lies at that address is not a database of ours, or a damaged or a newer one."""


class StorageFull(StorageError):
    """There is no space left; what was written before is intact."""


class ValueTooLarge(StorageError):
    """A value above the storage's stated limit; nothing was written."""


class AccessDenied(ErgasterError):
    """The thing belongs to another user or tenant."""


class ContentBlocked(ErgasterError):
    """A guardrail does not let the content pass.

    Attributes:
        guardrail: The guardrail's name.
        stage: Where it stood: `input`, `output`, `tool_arguments` or `tool_result`.
        reason: Why, in its words.
    """

    def __init__(self, message: str, *, guardrail: str = "", stage: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.guardrail = guardrail
        self.stage = stage
        self.reason = reason


class UnsafePath(ErgasterError):
    """A path that leaves its root or names something that is no plain file."""


class SyncDoorError(ErgasterError):
    """A synchronous call from a place where waiting would deadlock; use the asynchronous twin there."""


class Signal(Exception):
    """Base of what a tool raises to steer its run."""


class RetryTool(Signal):
    """Ask the model to call the tool again; the message tells it what to do better."""


class StopRun(Signal):
    """End the run now; the message is the answer."""


class PauseRun(Signal):
    """Pause the run with a question for a person; the message is the question."""
