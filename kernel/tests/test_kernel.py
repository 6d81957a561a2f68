"""Names become objects: sharing, aliases, `auto`, and the configuration file."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import define, evolve

from ergaster import Agent, Feature, Kernel, ModelRequest, ModelResponse, RunContext, Secret, Spec
from ergaster.catalog import KINDS
from ergaster.config import parse_config
from ergaster.contracts.feature import CallModel
from ergaster.contracts.model import Delta
from ergaster.errors import AuthenticationFailed, ConfigError, PluginError, ProviderUnavailable, Unsupported
from ergaster.plugins import PluginManager
from ergaster.refs import Ref
from ergaster.testing import ScriptedModel


@define
class Settings:
    """Settings of the test's models."""

    api_key: Secret | None = None
    answer: str = "ok"


class Answering(ScriptedModel):
    """Answers with its setting, and keeps its key."""

    def __init__(self, ref: Ref, settings: Settings) -> None:
        super().__init__(lambda request: settings.answer)
        self.name = ref.rest
        self.api_key = settings.api_key


def kernel(text: str = "", *, specs: tuple[Spec[object], ...] = ()) -> Kernel:
    """Return a kernel that has these models and none of those that happen to be installed."""
    config = parse_config(tomllib.loads(text), Path.cwd())
    made = Kernel(config, plugins=PluginManager(disable=PluginManager().names("model")))
    made.plugins.register_spec("model", Spec("answering", Answering, settings=Settings))
    for spec in specs:
        made.plugins.register_spec("model", spec)
    return made


def test_equal_names_and_options_share_an_object_and_others_do_not() -> None:
    it = kernel()

    one = it.model("answering:a", {"api_key": Secret("one")})
    assert one is it.model("answering:a", {"api_key": Secret("one")})
    assert one is not it.model("answering:a", {"api_key": Secret("two")})
    assert one is not it.model("answering:b", {"api_key": Secret("one")})
    assert one is not it.model("answering:a")


async def test_an_agent_of_the_file_runs_on_its_alias_with_its_options() -> None:
    it = kernel("""
        [models.fast]
        use = "answering:quick"
        answer = "fast answer"
        [agents.clerk]
        model = "fast"
        instructions = "Be brief."
        limits = { model_calls = 3 }
    """)

    agent = it.agent("clerk")

    assert "fast answer" == (await agent.arun("hi")).text
    assert ("clerk", 3) == (agent.name, agent.limits.model_calls if agent.limits else None)
    assert agent is it.agent("clerk")


def test_a_name_that_the_file_does_not_have_is_told_with_those_that_it_has() -> None:
    it = kernel("[agents.clerk]\nmodel = 'answering:x'")

    with pytest.raises(ConfigError, match="it has: clerk"):
        it.agent("clark")


def test_an_alias_that_leads_back_to_itself_is_an_error() -> None:
    it = kernel("[models.a]\nuse = 'b'\n[models.b]\nuse = 'a'")

    with pytest.raises(ConfigError, match="a -> b -> a"):
        it.model("a")


def test_an_alias_with_fallbacks_is_no_single_model_but_a_chain_in_the_order_of_the_aliases() -> None:
    it = kernel("""
        [models.a]
        use = "b"
        fallback = ["answering:z"]
        [models.b]
        use = "answering:x"
        fallback = [{ use = "answering:y", answer = "spare" }]
    """)

    model, fallback = it.model_chain("a")

    assert ("x", ["answering:y", "answering:z"]) == (model.name, [use.use for use in fallback])
    for ask in (it.model, lambda ref: it.resolve("model", ref)):
        with pytest.raises(Unsupported, match="'a' names fallbacks"):
            ask("a")


async def test_an_alias_with_fallbacks_needs_the_feature() -> None:
    it = kernel("[models.a]\nuse = 'answering:x'\nfallback = ['answering:y']\n[agents.clerk]\nmodel = 'a'")
    without = Kernel(it.config, plugins=PluginManager(disable=["fallback"]))
    without.plugins.register_spec("model", Spec("answering", Answering, settings=Settings))

    with pytest.raises(PluginError, match="fallback"):
        await without.agent("clerk").arun("hi")


async def test_features_reach_models_by_alias_and_with_options() -> None:
    it = kernel("[models.fast]\nuse = 'answering:x'\nanswer = 'fast answer'")

    assert it.model("fast") is it.resolve("model", "fast")
    assert it.model("fast", {"answer": "other"}) is it.resolve("model", "fast", {"answer": "other"})


async def test_a_feature_may_name_another_model_for_a_call_and_how_often_it_is_tried_again() -> None:
    other = ScriptedModel([ProviderUnavailable("down", retry_after=0.001), "from the other"], name="other")

    class Instead(Feature):
        def __init__(self, retries: int) -> None:
            self.retries = retries

        def around_model(
            self, request: ModelRequest, context: RunContext, call: CallModel
        ) -> AsyncIterator[Delta | ModelResponse]:
            assert own is request.model
            return call(evolve(request, model=other, retries=self.retries))

    own = ScriptedModel([])
    assert "from the other" == (await Agent(model=own, features=[Instead(1)]).arun("hi")).text
    other = ScriptedModel([ProviderUnavailable("down", retry_after=0.001), "never"], name="other")
    with pytest.raises(ProviderUnavailable):
        await Agent(model=own, features=[Instead(0)]).arun("hi")


def test_auto_takes_a_provider_whose_key_is_there_and_else_the_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = (
        Spec("aaa_local", Answering, settings=Settings, auto="aaa_local:small"),
        Spec("aab_vendor", Answering, settings=Settings, env=("AAB_KEY",), auto="aab_vendor:large"),
    )
    it = kernel(specs=specs)
    monkeypatch.delenv("AAB_KEY", raising=False)

    assert "small" == it.model("auto").name
    assert "no provider" in it.auto_choice
    monkeypatch.setenv("AAB_KEY", "k")
    assert "large" == it.model("auto").name
    assert "aab_vendor:large, because AAB_KEY is set" == it.auto_choice


def test_auto_with_nothing_to_take_says_what_to_do() -> None:
    with pytest.raises(AuthenticationFailed, match="pip install"):
        kernel().model("auto")


def test_a_relative_root_starts_at_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("here")
    (tmp_path / "ergaster.toml").write_text(
        '[agents.clerk]\nmodel = "openai_compatible:x"\ntools = [{ use = "files", root = "notes", allow = ["read"] }]\n'
    )

    it = Kernel.from_file(tmp_path / "ergaster.toml")

    assert it.agent("clerk").tools


async def test_a_kernel_closes_what_it_made_and_makes_it_anew() -> None:
    async with kernel() as it:
        first = it.model("answering:a")
    assert first is not it.model("answering:a")


def test_every_kind_has_its_contract() -> None:
    import importlib

    for kind in KINDS.values():
        module, _, name = kind.contract.partition(":")
        assert getattr(importlib.import_module(module), name).__doc__


async def test_an_agent_says_what_it_is() -> None:
    assert "<Agent 'clerk'>" == repr(Agent(model=ScriptedModel([]), name="clerk"))
