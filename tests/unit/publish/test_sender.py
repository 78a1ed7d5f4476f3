"""Which rejection the sender reports when the client discards other records along with the rejected one."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError

from stream_app.config import LiveConfig
from stream_app.errors import NotDelivered
from stream_app.publish.sender import Sender

TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), "shop.complaints"
DISCARDED = [KafkaError(code) for code in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)]


@pytest.mark.parametrize("reports", [[0, 1, 2], [1, 0, 2], [1, 2, 0]])
def test_the_rejected_record_is_reported_and_not_those_discarded_with_it(reports: list[int]) -> None:
    config = LiveConfig()
    sender = Sender(config, b"log", defaultdict(int), flat_out=True)
    waiting = [[TOO_LARGE, (DISCARDED[0], "shop.ticks"), (DISCARDED[1], "shop.orders")][number] for number in reports]

    def poll(_: float) -> int:
        """Report one record per call, as a slow client would."""
        if waiting:
            error, topic = waiting.pop(0)
            sender._delivered(error, cast("Any", SimpleNamespace(topic=lambda: topic)))
        return 0

    sender._producer = cast("Any", SimpleNamespace(poll=poll))
    with pytest.raises(NotDelivered, match=r"^Cannot write to shop.complaints: "):
        sender.serve()
