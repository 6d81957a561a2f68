"""Keys and passwords are in no log, no repr and no error of ours, at the DEBUG level too."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from ergaster import Agent, Kernel, Secret, tool
from ergaster.config import load_config
from ergaster.errors import AuthenticationFailed, ErgasterError
from ergaster.messages import ToolCall
from ergaster.testing.loopback import LoopbackServer, Reply, failing, rate_limited

SECRETS = {
    "provider key": "sk-proj-4f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c",
    "cloud key": "AKIAIOSFODNN7EXAMPLX",
    "forge token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "private key": "-----BEGIN PRIVATE KEY-----MIIEvQIBADANBgkqhkiG9w0BAQ-----END PRIVATE KEY-----",
    "password": "correct-horse-battery-staple",
}


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(default=Reply(text="ok")) as server:
        yield server


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Let everybody say everything; the levels are as before when the test is over."""
    for name in (None, *logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def written(log: pytest.LogCaptureFixture) -> str:
    """Return all that was logged, with the values of the arguments and the traces of exceptions."""
    texts = [log.text]
    for record in log.records:
        texts += [record.getMessage(), repr(record.args)]
        if record.exc_info and record.exc_info[1] is not None:
            texts.append("".join(traceback.format_exception(record.exc_info[1])))
    return "\n".join(texts)


@pytest.mark.parametrize("name", SECRETS)
async def test_what_configures_a_model_is_shown_nowhere(
    server: LoopbackServer, log: pytest.LogCaptureFixture, tmp_path: Path, name: str
) -> None:
    secret = SECRETS[name]
    model = {"use": "openai_compatible:m-1", "base_url": server.base_url, "api_key": secret, "headers": {"x-token": secret}}
    agent = Agent(model=model, storage=f"sqlite:///{tmp_path / 'runs.db'}")
    await agent.arun("hello", dependencies={"key": Secret(secret)})
    plan = await agent.plan()
    shown = [repr(each) for each in (agent, agent.kernel, plan, plan.model, vars(type(agent)), Secret(secret))]

    assert server.requests[0].headers["authorization"] == f"Bearer {secret}"
    assert server.requests[0].headers["x-token"] == secret
    assert secret not in "".join(shown)
    assert secret not in written(log)
    assert secret not in (tmp_path / "runs.db").read_bytes().decode("latin-1")
    await agent.kernel.aclose()


@pytest.mark.parametrize("name", SECRETS)
async def test_a_provider_that_repeats_the_key_gets_it_into_no_error(
    server: LoopbackServer, log: pytest.LogCaptureFixture, tmp_path: Path, name: str
) -> None:
    secret = SECRETS[name]
    server.say(rate_limited(0.01), failing(401, message=f"Incorrect API key provided: {secret}"))
    database = tmp_path / "runs.db"
    model = {"use": "openai_compatible:m-1", "base_url": server.base_url, "api_key": secret}
    agent = Agent(model=model, storage=f"sqlite:///{database}")

    events = [event async for event in agent.astream("hello", run_id="r1")]

    failure = events[-1].exception  # type: ignore[attr-defined]
    assert isinstance(failure, AuthenticationFailed)
    assert secret not in "".join(traceback.format_exception(failure)) + repr(failure) + repr(events[-1])
    assert secret not in written(log)
    await agent.kernel.aclose()
    assert secret not in b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("latin-1")


@pytest.mark.parametrize("name", SECRETS)
async def test_what_passes_through_a_run_is_in_no_log(
    server: LoopbackServer, log: pytest.LogCaptureFixture, tmp_path: Path, name: str
) -> None:
    secret = SECRETS[name]

    @tool
    async def sign_in(password: str) -> str:
        """Sign in."""
        raise RuntimeError(f"refused: {password}")

    server.say(
        rate_limited(0.01), Reply(calls=(ToolCall("c1", "sign_in", json.dumps({"password": secret})),)), Reply(text=secret)
    )
    model = {"use": "openai_compatible:m-1", "base_url": server.base_url}
    agent = Agent(model=model, tools=[sign_in], storage=f"sqlite:///{tmp_path / 'runs.db'}", instructions=f"Keep {secret}.")

    result = await agent.arun(f"my secret is {secret}", session_state={"key": secret}, metadata={"key": secret})

    assert result.text == secret
    assert secret not in written(log)
    assert secret not in repr(agent)
    await agent.kernel.aclose()


@pytest.mark.parametrize("name", SECRETS)
def test_the_password_of_an_address_is_in_no_error(log: pytest.LogCaptureFixture, name: str) -> None:
    secret = SECRETS[name]
    for address in (
        f"nosuch://ada:{secret}@db.example/x",
        f"sqlite://ada:{secret}@db.example/x.db",
        f"nosuch+x://:{secret}@h/x",
    ):
        with pytest.raises(ErgasterError) as caught:
            Kernel().storage(address)
        assert secret not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert secret not in written(log)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_of_the_environment_is_in_no_repr_of_a_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    secret = SECRETS[name]
    monkeypatch.setenv("ERGASTER_TEST_KEY", secret)
    path = tmp_path / "ergaster.toml"
    path.write_text(
        '[models.main]\nuse = "openai_compatible:m-1"\nbase_url = "http://127.0.0.1:9/v1"\n'
        'api_key = "${env:ERGASTER_TEST_KEY}"\n'
        '[agents.a]\nmodel = "main"\n'
    )
    config = load_config(path)
    kernel = Kernel(config)
    agent = kernel.agent("a")

    assert secret not in "".join(map(repr, (config, config.models, kernel, agent, kernel.model("main"))))
