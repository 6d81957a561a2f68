"""Functions of yours before, after and beside each run of an agent."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TypeAlias

from attrs import define, field

from ergaster.contracts.context import RunContext
from ergaster.contracts.feature import Feature, RunStream, Stage
from ergaster.events import Event
from ergaster.messages import Json
from ergaster.run import Closing

__all__ = ["Hook", "Hooks"]

logger = logging.getLogger(__name__)

Hook: TypeAlias = Callable[[RunContext], object]
"""A function or coroutine function of the run's context; what it returns is not looked at."""


@define(eq=False)
class Hooks(Feature):
    """Calls functions around each run, each kind in the order in which it is written.

    Plain functions run in a worker thread, coroutine functions on the loop.

    Attributes:
        before: Called one after another before anything else of the run. An error fails the run with itself; those
            behind it and the run's first step do not begin. Each is called once in the life of a run: a resumed run
            calls only those that had not ended.
        after: Called one after another once the run has completed and is stored, before the caller gets the result. An
            error is logged and changes nothing. A run that paused, failed or was cancelled calls none.
        background: Started together behind the last of `after`; nobody waits for them but `close`. An error is logged.
    """

    before: Sequence[Hook] = field(default=(), converter=tuple)
    after: Sequence[Hook] = field(default=(), converter=tuple, kw_only=True)
    background: Sequence[Hook] = field(default=(), converter=tuple, kw_only=True)
    name: str = field(default="hooks", init=False)
    stage: Stage = field(default=Stage.GUARD, init=False)
    _tasks: set[asyncio.Task[None]] = field(factory=set, init=False, repr=False)

    def around_run(self, context: RunContext, run: RunStream) -> AsyncIterator[Event]:
        """Call `before`, then the run."""
        return self._after_hooks(context, run) if self.before else run()

    async def after_run(self, context: RunContext) -> None:
        """Call `after`, and start `background`."""
        for hook in self.after:
            try:
                await _call(hook, context)
            except Exception:  # boundary: the run has completed, and a function beside it cannot undo that
                logger.exception("the hook %s failed after run %s, which stays completed", _name(hook), context.run_id)
        for hook in self.background:
            task = asyncio.create_task(_work(hook, context), name=f"ergaster hook {_name(hook)}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what was started in the background of this event loop."""
        loop = asyncio.get_running_loop()
        while tasks := [task for task in self._tasks if task.get_loop() is loop]:
            await asyncio.wait(tasks)

    async def _after_hooks(self, context: RunContext, run: RunStream) -> AsyncIterator[Event]:
        for number, hook in enumerate(self.before):
            await context.step(f"hooks.before.{number}.{_name(hook)}", partial(_call, hook, context))
        async with Closing(run()) as events:
            async for event in events:
                yield event


async def _call(hook: Hook, context: RunContext) -> Json:
    if _is_async(hook):
        result = hook(context)
    else:
        import anyio.to_thread

        result = await anyio.to_thread.run_sync(hook, context, abandon_on_cancel=True)
    if inspect.isawaitable(result):
        await result
    return None


async def _work(hook: Hook, context: RunContext) -> None:
    try:
        await _call(hook, context)
    except asyncio.CancelledError:
        logger.warning(
            "the hook %s was cancelled in the background of run %s; close the agent before its loop ends",
            _name(hook),
            context.run_id,
        )
        raise
    except Exception:  # boundary: nobody waits for it
        logger.exception("the hook %s failed in the background of run %s", _name(hook), context.run_id)


def _is_async(hook: Hook) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(hook)) or inspect.iscoroutinefunction(type(hook).__call__)


def _name(hook: Hook) -> str:
    return getattr(hook, "__qualname__", "") or type(hook).__qualname__
