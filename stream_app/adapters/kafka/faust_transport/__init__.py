"""Batching Kafka transport for Faust: one message per fetch instead of one per record.

Stock Faust spends an asyncio round trip on every record. With this transport an agent receives, for each fetch, a
`Fetched` per partition: its records, the positions before and after them, and the partition's high watermark, which the
record merge needs. docs/adr/0008-transport.md explains the design.
"""

from stream_app.adapters.kafka.faust_transport.fetcher import Fetched
from stream_app.adapters.kafka.faust_transport.transport import BatchingTransport

__all__ = ["BatchingTransport", "Fetched"]
