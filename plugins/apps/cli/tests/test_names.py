"""Names in a configuration are looked up all at once, in the index and in the file itself."""

import sys

import pytest

from ergaster.catalog import Spec
from ergaster.config import parse_config
from ergaster.plugins import PluginManager
from ergaster_cli.names import check_names


@pytest.fixture
def plugins():
    manager = PluginManager()
    for kind, name in (("feature", "grading"), ("strategy", "turns"), ("vector_store", "shelf"), ("model", "brain")):
        manager.register_spec(kind, Spec(name, lambda ref, settings: None))
    return manager


def test_names_that_are_there_are_no_problem(plugins):
    config = parse_config(
        {
            "agents": {"a": {"model": "fast", "grading": True, "tools": ["calculator"]}, "b": {"model": "brain:x"}, "c": {}},
            "models": {"fast": {"use": "slow", "fallback": ["brain:y", "slow"]}, "slow": "brain:x"},
            "teams": {"t": {"members": ["a", "u"], "strategy": "turns"}, "u": {"members": [], "strategy": "turns"}},
            "knowledge": {"k": {"vector_store": "shelf"}},
        }
    )

    assert () == check_names(config, plugins)


def test_every_name_that_stands_for_nothing_is_told_with_its_path(plugins):
    config = parse_config(
        {
            "agents": {
                "ada": {"model": "brian:x", "gradin": True, "instrucions": "x", "zzz": True, "tools": ["calculater"]},
                "bob": {"output_model": "brian:y"},
            },
            "models": {"loop": "pool", "pool": "loop", "fast": {"use": "brain", "fallback": ["brani"]}},
            "teams": {"t": {"members": ["adda"], "strategy": "turn"}},
            "knowledge": {"k": {"vector_store": "shelff"}},
        }
    )

    problems = check_names(config, plugins)
    assert [
        "agents.ada.model: no installed plugin provides the model 'brian'; nearest installed: brain",
        "agents.ada.tools[0]: no installed plugin provides the toolkit 'calculater'; nearest installed: calculator",
        "agents.ada.gradin: unknown key; did you mean 'grading'?",
        "agents.ada.instrucions: unknown key; did you mean 'instructions'?",
    ] == list(problems[:4])
    assert problems[4].startswith("agents.ada.zzz: no installed plugin provides the feature 'zzz'; installed are: ")
    assert [
        "agents.bob.output_model: no installed plugin provides the model 'brian'; nearest installed: brain",
        "models.loop.use: leads back to itself: loop > pool > loop",
        "models.pool.use: leads back to itself: pool > loop > pool",
        "models.fast.fallback[0]: no installed plugin provides the model 'brani'; nearest installed: brain",
        "knowledge.k.vector_store: no installed plugin provides the vector store 'shelff'; nearest installed: shelf",
        "teams.t.members[0]: no agent or team of this file is called 'adda'; did you mean 'ada'?",
        "teams.t.strategy: no installed plugin provides the strategy 'turn'; nearest installed: turns",
    ] == list(problems[5:])


def test_an_alias_is_suggested_for_a_model():
    config = parse_config({"agents": {"a": {"model": "fsat"}}, "models": {"fast": "auto"}})

    (problem,) = check_names(config, PluginManager())
    assert problem.endswith("; did you mean 'fast'?")


def test_looking_names_up_imports_no_plugin():
    config = parse_config({"agents": {"a": {"model": "openrouter:x", "tools": ["calculator"]}}})
    before = {name for name in sys.modules if name.startswith("ergaster_")}

    assert () == check_names(config, PluginManager())
    assert before == {name for name in sys.modules if name.startswith("ergaster_")}
