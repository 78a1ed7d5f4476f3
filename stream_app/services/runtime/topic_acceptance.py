"""Accepts a recreated topic: resets its positions to the beginning and keeps all others."""

from __future__ import annotations

from typing import Final

from stream_app.adapters.redis.delivery_store import RedisDeliveryStore
from stream_app.adapters.redis.state_store import RedisStateStore
from stream_app.config import INPUTS, LiveConfig
from stream_app.core.allocation import allocator
from stream_app.core.delivery.records import DeliveryChanges
from stream_app.core.partition import progress
from stream_app.core.partition.commit import Commit
from stream_app.core.training import trainer
from stream_app.errors import BadOption
from stream_app.ports import DeliveryStore, ModelStore
from stream_app.services.runtime.stores import opened_stores
from stream_app.services.runtime.topic_watch import TopicWatch

ACCEPTED: Final = (*INPUTS, "labelled", "nominations", "alerts")  # topics that are read from stored positions
_INSTANCE: Final = "topics accept"


async def accept_topic(config: LiveConfig, topic: str) -> bool:
    """Reset the stored positions of a topic to its beginning and store its current id.

    A running service fails at its next commit and reads the topic from its beginning after a restart.

    Args:
        config: all settings.
        topic: name of the topic.

    Returns:
        False if the current id is stored already.

    Raises:
        BadOption: the topic does not exist or has no stored positions.
        CommitRefused: another process has committed meanwhile.
    """
    roles = {name: role for role, name in config.kafka.topics.of(*ACCEPTED).items()}
    if topic not in roles:
        raise BadOption(option="TOPIC", value=topic, remedy=f"Give one of {', '.join(roles)}.")
    role = roles[topic]
    watch = TopicWatch(config, [role])
    await watch.begin()
    if role not in watch.ids:
        raise BadOption(option="TOPIC", value=topic, remedy="The topic does not exist: run `stream-app topics create`.")
    async with opened_stores(config) as stores:
        if role == "labelled":
            return await _accept_labelled(stores.models, watch.ids[role])
        if role == "alerts":
            return await _accept_alerts(RedisDeliveryStore(stores.client, config.redis.prefix), watch.ids[role])
        await stores.states.claim(_INSTANCE)
        numbers = [allocator.NUMBER] if role == "nominations" else range(config.kafka.partitions)
        return any([await _accept_in(stores.states, number, role, watch.ids[role]) for number in numbers])


async def _accept_in(store: RedisStateStore, number: int, role: str, topic_id: str) -> bool:
    opened = await store.open(number)
    kept = await store.keep_topics(number, {role: topic_id})
    if kept[role] == topic_id:
        return False
    async for _ in store.states(number):
        pass  # the commit preserves the digest of the states only if all of them have been read
    allocating = number == allocator.NUMBER
    position = allocator.rewind(opened.position) if allocating else progress.rewind(opened.position, role)
    commit = Commit(number, opened.position, position, {}, opened.summary, [])
    outcome, _ = await store.commit(commit, topic_id, 0)
    outcome.require_stored(number)
    await store.accept_topic(number, role, topic_id)
    return True


async def _accept_labelled(store: ModelStore, topic_id: str) -> bool:
    await store.claim(_INSTANCE)
    kept, latest = await store.keep_topics({"labelled": topic_id}), await store.latest()
    if kept["labelled"] == topic_id or latest is None:
        return False
    number, checkpoint = latest
    outcome = await store.checkpoint(
        base=number,
        number=number + 1,
        checkpoint=trainer.rewind(checkpoint),
        through=await store.through(),
    )
    outcome.require_stored("of the trainer")
    await store.accept_topic("labelled", topic_id)
    return True


async def _accept_alerts(store: DeliveryStore, topic_id: str) -> bool:
    await store.claim(_INSTANCE)
    kept = await store.keep_topics({"alerts": topic_id})
    if kept["alerts"] == topic_id:
        return False
    outcome = await store.commit(DeliveryChanges((await store.load()).number, b"{}"), topic_id)
    outcome.require_stored("of the notifier")
    await store.accept_topic("alerts", topic_id)
    return True
