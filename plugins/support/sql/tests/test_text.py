"""Text that engines refuse is stored in another form, in the same order."""

from hypothesis import given
from hypothesis import strategies as st

from ergaster_support_sql import sortable_text

texts = st.text(
    alphabet=st.sampled_from("\x00\x01\x02aZé\ud7fe\ud7ff\ud800\udc00\udfff\ue000\uffff🦣")
    | st.characters(exclude_categories=())
)


@given(texts, texts)
def test_order_and_difference_are_kept(first, second):
    assert (first < second) == (sortable_text(first) < sortable_text(second))
    assert (first == second) == (sortable_text(first) == sortable_text(second))


@given(texts)
def test_result_is_what_every_engine_stores(text):
    stored = sortable_text(text)

    assert "\x00" not in stored
    assert stored.encode("utf-8").decode("utf-8") == stored


def test_ordinary_text_is_unchanged():
    assert sortable_text("Ärger, 🦣 and so on") == "Ärger, 🦣 and so on"
