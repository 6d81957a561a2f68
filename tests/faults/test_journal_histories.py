"""Random histories of one run in several processes, against a model that is a list: no step lost, doubled or late."""

from __future__ import annotations

import asyncio
from typing import Any

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ergaster.errors import RunCancelledError, RunFenced, RunFinished, StorageConflict
from ergaster.events import (
    ApprovalDecided,
    ApprovalRequested,
    Decision,
    Event,
    ModelCompleted,
    Pending,
    RunCompleted,
    RunPaused,
    RunResumed,
    RunStarted,
    StepCompleted,
    ToolCompleted,
    ToolStarted,
)
from ergaster.journal import Journal, cancel_run, load_state, read_journal
from ergaster.messages import Message, ToolCall, ToolResult
from ergaster.state import RunState, fold
from ergaster_memory import MemoryStorage

PROCESSES = st.integers(0, 2)


@define
class Truth:
    """What the run is, if all is well: kinds of the entries in order, and what follows from them."""

    entries: list[str] = field(factory=list)
    status: str = "new"
    epoch: int = 0
    steps: dict[str, Any] = field(factory=dict)
    call: str = ""
    call_is_open: bool = False
    decisions: dict[str, str] = field(factory=dict)
    question: str = ""

    @property
    def is_final(self) -> bool:
        return self.status in ("completed", "cancelled")


class Histories(RuleBasedStateMachine):
    """Processes start, work on, pause, decide, cancel, take over, complete and lose one run."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.storage = MemoryStorage()
        self.truth = Truth()
        self.journals: dict[int, Journal] = {}
        self.loaded: dict[int, RunState] = {}
        self.count = 0

    def teardown(self) -> None:
        self.runner.run(self.storage.close())
        self.runner.close()

    def number(self) -> int:
        self.count += 1
        return self.count

    def append(self, process: int, *events: Event) -> bool:
        """Append as a process would; whether that may succeed, the truth says."""
        journal, truth = self.journals[process], self.truth
        try:
            self.runner.run(journal.append(*events))
        except RunCancelledError:
            assert truth.status == "cancelled"
        except RunFenced:
            assert truth.epoch > journal.epoch
        except RunFinished:
            assert truth.status == "completed"
        else:
            assert not truth.is_final
            assert truth.epoch == journal.epoch
            truth.entries += [event.kind for event in events]
            return True
        del self.journals[process]  # it stops, as a process does that hears this
        return False

    def may_work(self, process: int) -> bool:
        """A process works as long as it believes that the run is running; what it believes may be old."""
        return process in self.journals and self.journals[process].state.status == "running"

    @rule(process=PROCESSES)
    def load(self, process: int) -> None:
        """Read the run, to claim it later: others may write in between."""
        self.loaded[process] = self.runner.run(load_state(self.storage, "t", "r"))

    @rule(process=PROCESSES, verdict=st.sampled_from(["approve", "reject"]), decides=st.booleans())
    def claim(self, process: int, verdict: str, decides: bool) -> None:
        """Start the run, or take it over, perhaps with a decision, as far as this process has read it."""
        state, truth = self.loaded.pop(process, None), self.truth
        if state is None or state.is_final:
            return
        is_current = state.seq == len(truth.entries)
        epoch = state.epoch + 1
        events: list[Event] = [RunResumed(epoch=epoch)]
        open_questions = [pending.id for pending in state.undecided]
        if state.status == "new":
            events = [RunStarted(runnable="x", input=(Message("user", "go"),), epoch=epoch)]
        elif decides:
            events += [ApprovalDecided(decision=Decision(each, verdict)) for each in open_questions]  # type: ignore[arg-type]
        journal = Journal(self.storage, "t", state)
        try:
            self.runner.run(journal.claim(*events, epoch=epoch))
        except StorageConflict:
            assert not is_current
            return
        assert is_current
        self.journals[process] = journal
        truth.entries += [event.kind for event in events]
        truth.status, truth.epoch = "running", epoch
        truth.decisions |= {each: verdict for each in open_questions if len(events) > 1}

    @precondition(lambda self: self.journals)
    @rule(process=PROCESSES)
    def finish_a_step(self, process: int) -> None:
        if self.may_work(process):
            number = self.number()
            if self.append(process, StepCompleted(name=f"s{number}", value=number)):
                self.truth.steps[f"s{number}"] = number

    @precondition(lambda self: self.journals)
    @rule(process=PROCESSES)
    def call_a_tool(self, process: int) -> None:
        """Ask the model and start the call that it wants, or finish the call that is open."""
        if not self.may_work(process):
            return
        state = self.journals[process].state
        if open_calls := state.open_calls:
            call = open_calls[0].call
            if self.append(process, ToolCompleted(result=ToolResult(call.id, call.name, content=f"{process}"))):
                self.truth.call_is_open = False
            return
        call = ToolCall(f"c{self.number()}", "tool")
        if self.append(process, ModelCompleted(message=Message("assistant", [call])), ToolStarted(call=call)):
            self.truth.call, self.truth.call_is_open = call.id, True

    @precondition(lambda self: self.journals)
    @rule(process=PROCESSES)
    def pause(self, process: int) -> None:
        if not self.may_work(process):
            return
        question = f"q{self.number()}"
        pending = Pending(question, "confirm", ToolCall(question, "tool"))
        if self.append(process, ApprovalRequested(pending=pending), RunPaused(pending=(pending,))):
            self.truth.status, self.truth.question = "paused", question
            del self.journals[process]

    @precondition(lambda self: self.journals)
    @rule(process=PROCESSES)
    def complete(self, process: int) -> None:
        if self.may_work(process) and self.append(process, RunCompleted(text="done")):
            self.truth.status = "completed"

    @precondition(lambda self: self.truth.entries)
    @rule()
    def cancel_from_anywhere(self) -> None:
        was_open = self.runner.run(cancel_run(self.storage, "t", "r"))
        assert was_open is not self.truth.is_final
        if was_open:
            self.truth.entries.append("run_cancelled")
            self.truth.status, self.truth.call_is_open = "cancelled", False

    @precondition(lambda self: self.journals)
    @rule(process=PROCESSES)
    def crash(self, process: int) -> None:
        self.journals.pop(process, None)
        self.loaded.pop(process, None)

    @invariant()
    def the_journal_tells_the_truth(self) -> None:
        events, truth = self.runner.run(read_journal(self.storage, "t", "r")), self.truth
        assert [event.kind for event in events] == truth.entries
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        state = fold(RunState("r"), events)
        assert (state.status, state.epoch, state.steps) == (truth.status, truth.epoch, truth.steps)
        assert {each: decision.verdict for each, decision in state.decisions.items()} == truth.decisions
        assert [call.call.id for call in state.open_calls] == ([truth.call] if truth.call_is_open else [])
        ends = [event.kind for event in events if event.kind in ("run_completed", "run_cancelled")]
        assert len(ends) == truth.is_final
        assert not ends or events[-1].kind == ends[0]
        epochs = [event.epoch for event in events if isinstance(event, RunStarted | RunResumed)]
        assert epochs == list(range(1, len(epochs) + 1))

    @invariant()
    def what_a_process_believes_was_true_once(self) -> None:
        events = self.runner.run(read_journal(self.storage, "t", "r"))
        for journal in self.journals.values():
            then = fold(RunState("r"), events[: journal.state.seq])
            believed = journal.state
            assert (believed.status, believed.epoch, believed.steps) == (then.status, then.epoch, then.steps)
            assert (believed.messages, believed.decisions) == (then.messages, then.decisions)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
