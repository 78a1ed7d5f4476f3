"""Remedies for records that are in another partition than their customer."""

from __future__ import annotations

from typing import Final

KEY_REMEDY: Final = "Key records by customer_id as plain text."
PARTITIONER_REMEDY: Final = (
    "Partition by murmur2, as Java does. librdkafka (Python, Go, C#, PHP): partitioner=murmur2_random."
)
PLACEMENT_REMEDY: Final = f"{KEY_REMEDY} {PARTITIONER_REMEDY} `stream-app topics check` covers other clients."
