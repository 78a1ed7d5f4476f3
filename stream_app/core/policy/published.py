"""Published policies: their stored content, and changes that a running shop cannot follow."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stream_app.core.policy.policy import Policy
from stream_app.core.uplift.holdout import Holdout
from stream_app.errors import UnusablePolicy


def content_of(policy: Policy) -> bytes:
    """Return the stored content of a policy."""
    return msgspec.json.encode(policy, order="sorted")


def policy_of(version: str, content: bytes) -> Policy:
    """Return the policy with the given content. Raises UnusablePolicy if this release does not know one of its rules.

    The version is kept: the release that published the policy may have known fewer rules, and compute another one.

    >>> policy = Policy()
    >>> policy_of("a1", content_of(policy)) == policy, policy_of("a1", content_of(policy)).version
    (True, 'a1')
    """
    try:
        policy = msgspec.json.decode(content, type=Policy)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnusablePolicy(version=version, problem=str(error)) from error
    vars(policy)["version"] = version
    return policy


def obstacle(policy: Policy, holdout: Holdout, current: Policy, holdouts: Iterable[Holdout]) -> tuple[str, str, str]:
    """Return why a policy cannot follow those before it: field, problem and remedy. They are empty if it can.

    Args:
        policy: the new policy.
        holdout: experiment under it.
        current: the policy in force.
        holdouts: experiments under the policies before it.

    >>> one, other = Holdout(0.5, "spring"), Holdout(0.5, "spring", window=1)
    >>> obstacle(Policy(), other, Policy(), [one])[0], obstacle(Policy(), Holdout(0.2, "spring"), Policy(), [one])[0]
    ('holdout', '')
    """
    if any(one.share and holdout.share and _differs(one, holdout) for one in holdouts):
        problem = f"changes the rules of the experiment {holdout.experiment!r}, so that its arms could not be compared"
        return "holdout", problem, "Give it a new name, or keep its rules."
    base = current.currency.base
    if base and policy.currency.base != base:
        return "currency.base", f"is not {base}, the currency of the amounts that are stored", f"Use {base}."
    return "", "", ""


def _differs(one: Holdout, other: Holdout) -> bool:
    """Return whether two experiments have the same name and other rules.

    Their shares may differ: customers keep the arm of their first draw, and the effect is estimated within each share.
    """
    shares = {"share": one.share, "later_share": one.later_share}
    return one.experiment == other.experiment and msgspec.structs.replace(other, **shares) != one
