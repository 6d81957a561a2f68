"""The splitter of server-sent events, against bytes cut anywhere."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from ergaster_support_openai_wire import SseSplitter

VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20).map(
    lambda text: text.lstrip(" ").encode()
)
NAMES = st.sampled_from([b"", b"error", b"response.created"])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
NOISE = st.sampled_from([b"", b": comment{end}", b"id: 4{end}", b"retry: 10{end}", b"data{end}"])


@st.composite
def streams(draw):
    """Return bytes with events, and the events."""
    end, sent, expected = draw(ENDS), b"", []
    for _ in range(draw(st.integers(0, 6))):
        name, lines, noise = draw(NAMES), draw(st.lists(VALUES, min_size=1, max_size=3)), draw(NOISE)
        if noise.startswith(b"data"):
            lines = [b"", *lines]
        space = draw(st.sampled_from([b"", b" "]))
        block = noise.replace(b"{end}", end)
        block += b"event: " + name + end if name else b""
        block += b"".join(
            b"data:" + (space or b" " * line.startswith(b" ")) + line + end for line in lines[noise.startswith(b"data") :]
        )
        sent += block + end * draw(st.integers(1, 3))
        expected.append((name, b"\n".join(lines)))
    return sent, expected


@given(streams(), st.data())
def test_events_are_the_same_however_the_bytes_are_cut(stream, data):
    sent, expected = stream
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=30)))
    splitter = SseSplitter()
    events = []

    for start, stop in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        events += splitter.feed(sent[start:stop])

    assert expected == events
    assert [] == splitter.finish()


@given(st.binary(max_size=300), st.integers(1, 7))
def test_any_bytes_give_the_same_events_whole_and_in_pieces(sent, size):
    whole, pieces = SseSplitter(), SseSplitter()

    expected = whole.feed(sent) + whole.finish()
    events = [event for start in range(0, len(sent), size) for event in pieces.feed(sent[start : start + size])]

    assert expected == events + pieces.finish()


def test_the_last_event_may_lack_its_blank_line():
    splitter = SseSplitter()

    assert [] == splitter.feed(b"data: [DONE]\n")
    assert [(b"", b"[DONE]")] == splitter.finish()


def test_a_byte_order_mark_is_passed_over():
    assert [(b"", b"1")] == SseSplitter().feed(b"\xef\xbb\xbfdata: 1\n\n")


def test_a_long_event_in_many_pieces_is_put_together_in_linear_time():
    def seconds(count: int) -> float:
        splitter = SseSplitter()
        started = time.process_time()
        for _ in range(count):
            splitter.feed(b"x" * 1000)
        splitter.feed(b"\n\n")
        return time.process_time() - started

    small = min(seconds(2_000) for _ in range(5))

    assert min(seconds(20_000) for _ in range(3)) < 60 * small, "ten times the length takes far more than ten times as long"
