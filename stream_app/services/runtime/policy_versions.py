"""Contact policies of a running shop: a cache of the settings under each, and a change of the policy in force."""

from __future__ import annotations

from typing import Final

from stream_app.core.partition.progress import decode_summary
from stream_app.core.policy.policy import Policy
from stream_app.core.policy.published import content_of, obstacle, policy_of
from stream_app.core.settings import Settings
from stream_app.errors import ContradictorySettings, UnknownPolicy
from stream_app.ports import PolicyStore, Published

POLL_SECONDS: Final = 0.5  # between two attempts to fetch a policy that is missing


class PolicyVersions:
    """Settings by version of the policy; each policy is fetched once.

    Args:
        store: store of the published policies.
        settings: the shop's settings with the initial policy.
    """

    def __init__(self, store: PolicyStore, settings: Settings) -> None:
        self._store, self._initial = store, settings
        self._known = {settings.policy.version: settings, "": settings}

    async def get(self, version: str) -> Settings | None:
        """Return the settings under a policy, or None if it is not stored.

        Raises:
            UnusablePolicy: this release cannot read the policy.
            ContradictorySettings: the policy contradicts the settings of this process.
        """
        if version not in self._known:
            content = await self._store.content(version)
            if content is None:
                return None
            self._known[version] = self._initial.with_policy(policy_of(version, content))
        return self._known[version]

    async def of_summary(self, summary: bytes) -> Settings:
        """Return the settings under the policy of a partition's summary. Raises UnknownPolicy."""
        return await self.require(decode_summary(summary).policy if summary else "")

    async def require(self, version: str) -> Settings:
        """Return the settings under a policy. Raises UnknownPolicy if it is not stored."""
        found = await self.get(version)
        if found is None:
            raise UnknownPolicy(version=version)
        return found


async def in_force(store: PolicyStore, settings: Settings) -> tuple[Settings, Published | None]:
    """Return the settings under the policy that was published last; None if it is that of the settings."""
    published = await store.published()
    latest = published[-1] if published else None
    return await PolicyVersions(store, settings).require(latest.version if latest else ""), latest


async def publish(store: PolicyStore, settings: Settings, policy: Policy) -> tuple[Published, bool]:
    """Put a policy in force from the next tick on. Return it, and whether anything has changed.

    Args:
        store: store of the published policies.
        settings: the shop's settings with the initial policy.
        policy: the new policy.

    Raises:
        ContradictorySettings: the policy contradicts the settings, or a running shop cannot change to it.
    """
    contents = [(one.version, await store.content(one.version)) for one in await store.published()]
    earlier = [settings.policy, *(policy_of(version, content) for version, content in contents if content is not None)]
    holdouts = [settings.holdout, *(one.holdout for one in earlier if one.holdout is not None)]
    field, problem, remedy = obstacle(policy, settings.with_policy(policy).holdout, earlier[-1], holdouts)
    if field:
        raise ContradictorySettings(name=field, problem=problem, remedy=remedy)
    return await store.publish(policy.version, content_of(policy))
