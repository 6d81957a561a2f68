"""What can go wrong before a local model answers."""

from __future__ import annotations

from ergaster.errors import ProviderUnavailable

__all__ = ["BinaryNotFound", "DownloadFailed", "ServerFailed"]


class DownloadFailed(ProviderUnavailable):
    """The weights could not be fetched, from no source; the message says why, for each."""

    default_can_retry = False


class BinaryNotFound(ProviderUnavailable):
    """There is no llama.cpp server on this machine to start."""

    default_can_retry = False


class ServerFailed(ProviderUnavailable):
    """The llama.cpp server ended, or never became ready; the message has its last words."""

    default_can_retry = False
