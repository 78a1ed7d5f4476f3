"""Registry of the kinds of channels."""

from __future__ import annotations

from typing import Final

from stream_app.notifications.channels import apprise_channel, dingtalk, feishu, webhook, wecom
from stream_app.notifications.channels.channel import ChannelKind

# To add a kind of channel, add its module here; see docs/extending.md for the steps.
_MODULES: Final = (webhook, dingtalk, feishu, wecom, apprise_channel)
KINDS: Final[dict[str, ChannelKind]] = {module.KIND.name: module.KIND for module in _MODULES}
