"""The feature: which model is asked next, and when nobody is."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Literal, TypeAlias, cast

from attrs import define, evolve, field

from ergaster.contracts.context import RunContext
from ergaster.contracts.feature import CallModel, Feature, Stage
from ergaster.contracts.model import Delta, Model, ModelRequest, ModelResponse
from ergaster.errors import (
    AuthenticationFailed,
    ContextOverflow,
    MalformedReply,
    ModelError,
    ProviderUnavailable,
    RateLimited,
    Unsupported,
)
from ergaster_fallback.circuit import Circuit
from ergaster_fallback.fit import has_larger_window, missing_ability, missing_medium

__all__ = ["Cause", "Fallback"]

Cause: TypeAlias = Literal["rate_limit", "unavailable", "context_overflow", "authentication", "malformed_reply"]

_CLASSES: Mapping[str, type[ModelError]] = {
    "rate_limit": RateLimited,
    "unavailable": ProviderUnavailable,
    "context_overflow": ContextOverflow,
    "authentication": AuthenticationFailed,
    "malformed_reply": MalformedReply,
}
_OUTAGES = (RateLimited, ProviderUnavailable, AuthenticationFailed, MalformedReply)
_MOST_CIRCUITS = 256

_log = logging.getLogger(__name__)


@define(eq=False)
class Fallback(Feature):
    """Asks the next model of a chain when one fails, as long as nothing of its reply was shown.

    Attributes:
        models: The models in order: references, aliases, tables with `use` and options, or objects.
        on: The errors that lead to the next model; any other error ends the call.
        retry_first: Whether a model uses up the run's retries before the next one is asked; the last one always does.
        failures: Failures in a row after which a model is not asked for a while.
        cool_down: Seconds of that while; then one call tries it again.
    """

    models: Sequence[object] = field()
    on: Sequence[Cause] = field(default=("rate_limit", "unavailable", "context_overflow"), kw_only=True)
    retry_first: bool = field(default=False, kw_only=True)
    failures: int = field(default=3, kw_only=True)
    cool_down: float = field(default=30.0, kw_only=True)
    name: str = field(default="fallback", init=False)
    stage: Stage = field(default=Stage.FALLBACK, init=False)
    _resolved: tuple[Model, ...] | None = field(default=None, init=False)
    _circuits: dict[int, tuple[Model, Circuit]] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.models:
            raise ValueError("name at least one model to fall back on")
        for given in self.models:
            if not isinstance(given, str | Model) and not (isinstance(given, Mapping) and isinstance(given.get("use"), str)):
                raise TypeError('a model to fall back on is a reference, a table {use = "…"} with options, or a model')
        if self.failures < 1 or self.cool_down < 0:
            raise ValueError("failures has to be 1 or more, and cool_down 0 or more")

    async def around_model(
        self, request: ModelRequest, context: RunContext, call: CallModel
    ) -> AsyncIterator[Delta | ModelResponse]:
        """Ask the models in turn and yield from the first that answers."""
        queue = self._chain(request, context)
        failed: list[ModelError] = []
        while (model := self._next(queue, is_first=not failed)) is not None:
            if failed and (lacking := missing_medium(model, request)):
                raise _noted(_mismatch(model, lacking), failed) from failed[-1]
            shown = False
            try:
                asked = evolve(request, model=model, retries=self._retries(request, queue))
                async with aclosing(cast("AsyncGenerator[Delta | ModelResponse]", call(asked))) as items:
                    async for item in items:
                        shown = True
                        if isinstance(item, ModelResponse):
                            self._circuit(model).succeed()
                            item = item if item.model else evolve(item, model=model.name)  # noqa: PLW2901 - the same item, named
                        yield item
            except ModelError as error:
                if isinstance(error, _OUTAGES):
                    self._circuit(model).fail(monotonic())
                if isinstance(error, ContextOverflow):
                    queue[:] = [other for other in queue if has_larger_window(other, model)]
                if shown or not self._leads_on(error) or not self._is_any_ready(queue):
                    raise _noted(error, failed) from error.__cause__
                _log.warning("%s:%s failed with %s; asking the next model", model.provider, model.name, type(error).__name__)
                failed.append(_named(error, model))
            else:
                return

    def _chain(self, request: ModelRequest, context: RunContext) -> list[Model]:
        """Return the models to ask, the request's own first.

        Raises:
            Unsupported: If one of them lacks what every request of the agent needs, before it is needed.
        """
        if self._resolved is None:
            self._resolved = tuple(_resolve(given, context) for given in self.models)
        chain = [] if request.model is None else [request.model]
        for model in self._resolved:
            if lacking := missing_ability(model, request):
                raise _mismatch(model, lacking)
            if model not in chain:
                chain.append(model)
        return chain

    def _next(self, queue: list[Model], *, is_first: bool) -> Model | None:
        """Take the next model whose circuit lets it be asked; if none was, the one that may be asked the soonest."""
        now = monotonic()
        for index, model in enumerate(queue):
            if self._circuit(model).admit(now):
                del queue[: index + 1]
                return model
        if not is_first or not queue:
            return None
        model = min(queue, key=lambda each: self._circuit(each).open_until)
        queue.clear()
        return model

    def _retries(self, request: ModelRequest, left: list[Model]) -> int | None:
        return request.retries if self.retry_first or not self._is_any_ready(left) else 0

    def _is_any_ready(self, models: list[Model]) -> bool:
        now = monotonic()
        return any(self._circuit(model).is_ready(now) for model in models)

    def _leads_on(self, error: ModelError) -> bool:
        return any(isinstance(error, _CLASSES[cause]) for cause in self.on)

    def _circuit(self, model: Model) -> Circuit:
        """Return a model's circuit; the model is kept with it, so that no other one gets its identity."""
        if id(model) not in self._circuits:
            if len(self._circuits) >= _MOST_CIRCUITS:
                del self._circuits[next(iter(self._circuits))]
            self._circuits[id(model)] = (model, Circuit(self.failures, self.cool_down))
        return self._circuits[id(model)][1]


def _resolve(given: object, context: RunContext) -> Model:
    if isinstance(given, Model):
        return given
    if isinstance(given, Mapping):
        options = {key: value for key, value in given.items() if key != "use"}
        return cast(Model, context.resolve("model", given["use"], options))
    return cast(Model, context.resolve("model", str(given)))


def _mismatch(model: Model, lacking: str) -> Unsupported:
    return Unsupported(
        f"the fallback model {model.provider}:{model.name} cannot take this request over: it has no {lacking}; "
        "name a model that has, or leave it out of fallback"
    )


def _named(error: ModelError, model: Model) -> ModelError:
    """Fill in which model failed, where the error does not say."""
    error.provider, error.model = error.provider or model.provider, error.model or model.name
    return error


def _noted(error: ModelError | Unsupported, earlier: list[ModelError]) -> ModelError | Unsupported:
    """Add the errors of the models that were asked before to the one that is raised."""
    for other in earlier:
        error.add_note(f"before it, {other.provider}:{other.model} failed with {type(other).__name__}: {other}")
    return error
