"""Fixtures for tests of agents and plugins.

pytest loads this module in every project that has `ergaster` installed, so it imports nothing that is not needed for
its definitions, and changes nothing for tests that do not ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ergaster.testing.scripted import Reply, ScriptedModel

__all__ = ["scripted_model"]

_KITS = ("_model_conduct", "_model_failures", "_model_replies", "feature", "model", "storage", "toolkit")

# The kits assert; without this their failures would not show values. pytest does the same only for installed wheels.
pytest.register_assert_rewrite(*(f"ergaster.testing.{kit}" for kit in _KITS))


@pytest.fixture
def scripted_model() -> Callable[..., ScriptedModel]:
    """Make a model that says what it is told.

    Example:
        def test_greeting(scripted_model):
            assert Agent(model=scripted_model("Hello!")).run("Hi").text == "Hello!"
    """

    def make(*replies: Reply) -> ScriptedModel:
        from ergaster.testing.scripted import ScriptedModel

        return ScriptedModel(replies)

    return make
