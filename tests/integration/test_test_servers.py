"""The test servers start empty, and come back after a crash with what they have persisted."""

from __future__ import annotations

import redis
from confluent_kafka.admin import AdminClient

from tests.harness.servers import RedisServer


def test_a_broker_has_no_topics_and_creates_none(kafka: str) -> None:
    client = AdminClient({"bootstrap.servers": kafka})
    assert client.list_topics("never-created", timeout=10).topics["never-created"].error is not None
    assert "never-created" not in client.list_topics(timeout=10).topics


def test_redis_is_emptied_before_a_test(fresh_redis: str) -> None:
    with redis.Redis.from_url(fresh_redis) as client:
        assert client.dbsize() == 0


def test_an_appendonly_redis_keeps_everything_across_a_kill(redis_url: str) -> None:
    with RedisServer(appendonly=True) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "1")
        server.kill()
        server.start()
        assert client.get("kept") == b"1"
