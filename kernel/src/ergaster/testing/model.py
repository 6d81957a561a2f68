"""The contract kit of models.

A plugin's test module needs three lines:

    from ergaster.testing import ModelContract

    class TestDeepSeek(ModelContract):
        ref = "deepseek:deepseek-chat"

Every test runs the model against a server on the loopback address that speaks the protocol and fails as real servers
do; nothing leaves the machine, and no key is needed.
"""

from __future__ import annotations

from ergaster.testing._model_base import KEY
from ergaster.testing._model_conduct import ConductKit
from ergaster.testing._model_failures import FailuresKit
from ergaster.testing._model_replies import RepliesKit

__all__ = ["KEY", "ModelContract"]


class ModelContract(RepliesKit, FailuresKit, ConductKit):
    """What every model promises.

    Subclass it and set `ref`; or override `make_model(base_url, **options)`, which returns a model that talks to
    *base_url* with the key `KEY` and takes the usual options (`temperature`, `max_tokens`, `tools`). A model with
    another protocol overrides `make_server`, too.

    Tests are never overridden; where a server cannot do what one asks for, mark it as an expected failure and say why.
    """
