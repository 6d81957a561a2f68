"""The proof of the demo must fail for every way in which a call could be paid for twice."""

from attrs import evolve

from ergaster.codec import write_event
from ergaster.contracts.storage import Entry
from ergaster.events import ModelCompleted, RunCompleted, RunResumed, RunStarted, ToolStarted
from ergaster.messages import Message, ToolCall
from ergaster_cli.demo.proof import Counts, Evidence


def journal(*events):
    return tuple(Entry(seq, write_event(event)) for seq, event in enumerate(events, 1))


STARTED = RunStarted(runnable="scribe", input=(Message("user", "write"),))
CALL = ToolCall("c1", "write_file", '{"path": "a.md", "content": "sea"}')
ASKED = ModelCompleted(message=Message("assistant", (CALL,)))
BEGAN = ToolStarted(call=CALL)
ANSWERED = ModelCompleted(message=Message("assistant", "done"))
FINAL = journal(STARTED, ASKED, BEGAN, RunResumed(epoch=2), ANSWERED, RunCompleted(text="done"))
GOOD = Evidence(at_kill=FINAL[:3], at_end=FINAL, counts=Counts(before=5, killed=6, after=7))


def test_a_run_that_paid_each_call_once_is_accepted():
    assert GOOD.was_in_the_middle
    assert GOOD.is_complete
    assert GOOD.kept_every_entry
    assert GOOD.paid_once
    assert (1, 1, 0) == (GOOD.paid_before, GOOD.paid_after, GOOD.lost_in_flight)


def test_one_request_in_flight_at_the_kill_is_no_second_payment():
    assert evolve(GOOD, counts=Counts(before=5, killed=7, after=8)).paid_once


def test_a_request_after_the_kill_that_no_entry_answers_is_found():
    assert not evolve(GOOD, counts=Counts(before=5, killed=6, after=8)).paid_once


def test_a_request_before_the_kill_that_no_entry_answers_is_found():
    assert not evolve(GOOD, counts=Counts(before=5, killed=8, after=9)).paid_once


def test_more_entries_than_requests_are_found():
    assert not evolve(GOOD, counts=Counts(before=5, killed=5, after=6)).paid_once


def test_a_finished_call_that_was_done_again_is_found_in_the_journal_alone():
    again = journal(STARTED, RunResumed(epoch=2), ASKED, BEGAN, ANSWERED, RunCompleted(text="done"))

    assert not evolve(GOOD, at_end=again, counts=None).paid_once


def test_a_run_without_a_paid_call_was_not_in_the_middle():
    assert not evolve(GOOD, at_kill=FINAL[:1]).was_in_the_middle
    assert not evolve(GOOD, at_kill=FINAL).was_in_the_middle


def test_a_tool_call_that_began_twice_is_named():
    twice = journal(STARTED, ASKED, BEGAN, RunResumed(epoch=2), evolve(BEGAN, attempt=2), ANSWERED)

    assert ["write_file"] == evolve(GOOD, at_end=twice).repeated_calls()
    assert [] == GOOD.repeated_calls()
