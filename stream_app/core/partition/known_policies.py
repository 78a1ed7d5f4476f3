"""Settings of a shop under the contact policies that are known so far."""

from __future__ import annotations

from stream_app.core.settings import Settings


class KnownPolicies:
    """Settings by version of the policy; the empty version is that of the settings which a process starts with.

    Args:
        settings: the settings to start with.

    >>> policies = KnownPolicies(Settings())
    >>> policies.has(""), policies.has("a1"), policies.missing
    (True, False, 'a1')
    """

    def __init__(self, settings: Settings) -> None:
        self.missing = ""  # version that was asked for last, if it is unknown
        self._settings = {settings.policy.version: settings, "": settings}

    def add(self, settings: Settings) -> None:
        """Add the settings under another policy."""
        self._settings[settings.policy.version] = settings
        self.missing = ""

    def has(self, version: str) -> bool:
        """Return whether a policy is known; if not, it is `missing`."""
        self.missing = "" if version in self else version
        return not self.missing

    def __contains__(self, version: str) -> bool:
        return version in self._settings

    def __getitem__(self, version: str) -> Settings:
        return self._settings[version]
