"""What counts as personal data, what does not, and how long it takes to say so."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergaster import Agent
from ergaster.contracts.guardrail import Allow, Block, Rewrite
from ergaster.errors import ContentBlocked, InvalidOption
from ergaster.kernel import default_kernel
from ergaster.testing import ScriptedModel
from ergaster.testing.calls import DetachedContext
from ergaster_pii import PersonalData

CONTEXT = DetachedContext()
ALL = ("email", "phone", "card", "iban", "ip", "us_ssn", "uk_nino", "es_dni")


async def masked(text: str, *kinds: str) -> str:
    verdict = await PersonalData(kinds=kinds or ALL).check("input", text, CONTEXT)
    return verdict.content if isinstance(verdict, Rewrite) else text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to ada.lovelace+x@mail.example.co.uk.", "Write to [EMAIL]."),
        ("<jörg@müller.example>", "<[EMAIL]>"),
        ("a@b.c, d@e.f", "[EMAIL], [EMAIL]"),
        ("card 4111 1111 1111 1111 please", "card [CARD] please"),
        ("4111-1111-1111-1111", "[CARD]"),
        ("4111111111111111", "[CARD]"),
        ("amex 378282246310005.", "amex [CARD]."),
        ("No. 1234 4111 1111 1111 1111 99", "No. 1234 [CARD] 99"),
        ("\uff14\uff11\uff11\uff11 1111 1111 1111", "[CARD]"),
        ("DE89 3704 0044 0532 0130 00", "[IBAN]"),
        ("to GB29NWBK60161331926819 now", "to [IBAN] now"),
        ("de89370400440532013000", "[IBAN]"),
        ("+49 (0)30 1234-5678", "[PHONE]"),
        ("call +1 212 555 0134, please", "call [PHONE], please"),
        ("(212) 555-0134", "[PHONE]"),
        ("030 12345678", "[PHONE]"),
        ("from 203.0.113.7.", "from [IP]."),
        ("2001:db8::8a2e:370:7334", "[IP]"),
        ("SSN 078-05-1120", "SSN [US_SSN]"),
        ("NINO AB 12 34 56 C", "NINO [UK_NINO]"),
        ("DNI 12345678Z", "DNI [ES_DNI]"),
    ],
)
async def test_personal_data_is_masked(text: str, expected: str) -> None:
    assert expected == await masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "at 10:30 on 2026-11-22",
        "order 4111 1111 1111 1112",
        "1234567890",
        "version 1.2.3 and 1.2.3.4.5",
        "999.1.1.1",
        "std::vector and a::b",
        "DE88 3704 0044 0532 0130 00",
        "DNI 12345678A",
        "an @ sign, @name, a@b",
        "",
    ],
)
async def test_what_only_looks_like_it_passes(text: str) -> None:
    assert text == await masked(text)


async def test_only_the_kinds_that_were_named_count() -> None:
    assert "[EMAIL] 203.0.113.7" == await masked("a@b.cc 203.0.113.7", "email")
    assert isinstance(await PersonalData(kinds=["card"]).check("input", "a@b.cc", CONTEXT), Allow)
    assert "AB 12 34 56 C" == await masked("AB 12 34 56 C", "email", "phone", "card", "iban", "ip")
    assert "000-12-3456, 666-12-3456, 123-00-3456" == await masked("000-12-3456, 666-12-3456, 123-00-3456", "us_ssn")


async def test_a_block_names_the_kinds_and_shows_no_data() -> None:
    verdict = await PersonalData(action="block").check("input", "a@b.cc, 4111 1111 1111 1111", CONTEXT)

    assert Block("it holds personal data: card, email") == verdict


async def test_an_agent_masks_by_name_with_options() -> None:
    model = ScriptedModel(["Mail ada@example.org."])

    result = await Agent(model=model, guardrails=["pii"]).arun("I am ada@example.org")

    assert ("I am [EMAIL]", "Mail [EMAIL].") == (model.requests[0].messages[0].text, result.text)
    with pytest.raises(ContentBlocked, match="email"):
        await Agent(model=model, guardrails=[{"use": "pii", "action": "block"}]).arun("I am ada@example.org")


def test_options_are_checked() -> None:
    made = default_kernel().create("guardrail", "pii", {"kinds": ["card"], "stages": ["tool_arguments"]})

    assert isinstance(made, PersonalData)
    assert frozenset({"tool_arguments"}) == made.stages
    with pytest.raises(InvalidOption, match="kinds"):
        default_kernel().create("guardrail", "pii", {"kinds": ["name"]})


SIZE = 50_000
EVIL = [
    "a", "1", "@", "a@", "a.", "a@a", "a@a.", "1 ", "4 ", "4-", "1.", "1.1.1.1.", ":", "a:", "1:", "::1 ", "(1", "+1", "+1 (",
    "1/", "DE89", "DE89 ", "DE89 1", "AB12", "12345678", "1-", "123-45-", "\u0661", "a-", "x@y.z",
    "4111 1111 1111 1111 ", " ", "-", "\n",
]  # fmt: skip


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("end", ["", "!", "@", "\u2028"])
async def test_evil_texts_take_time_in_proportion_to_their_length(evil: str, end: str) -> None:
    guard = PersonalData(kinds=ALL)

    async def spent(size: int) -> float:
        text = evil * (size // len(evil)) + end
        started = time.process_time()
        await guard.check("input", text, CONTEXT)
        return time.process_time() - started

    await spent(1000)
    assert await spent(SIZE) < 1.0  # a quadratic search takes minutes


@given(st.text(alphabet="a1@.-+ :()4DE89\u0661\u00b2é", max_size=200))
async def test_what_was_masked_passes_unchanged(text: str) -> None:
    once = await masked(text)

    assert once == await masked(once)
