"""Which partition a customer's events are in."""

from __future__ import annotations

from kafka.partitioner.default import murmur2


def partition_of(customer: str, partitions: int) -> int:
    """The partition of a customer as Kafka's Java client computes it (murmur2).

    >>> partition_of("c1", 1), 0 <= partition_of("c1", 8) < 8
    (0, True)
    """
    if partitions == 1:
        return 0
    return int(murmur2(customer.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF) % partitions
