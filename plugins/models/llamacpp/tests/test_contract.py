"""What every model promises, on the protocol's loopback server."""

from ergaster.testing import ModelContract


class TestLlamaCpp(ModelContract):
    ref = "llamacpp:tiny"
