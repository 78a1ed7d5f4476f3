"""Faust's Kafka transport, a batch at a time: one message a fetch instead of one a record.

Stock Faust spends an asyncio round trip on every record. Here an agent receives, for each fetch, a `Fetched` with all
records that came for a partition, where they begin and end, and how far that partition reaches by its own last
fetch response, which is what the alignment of topics needs to know. docs/adr/0008-transport.md tells why and how.
"""

from stream_app.adapters.kafka.faust_transport.fetched import Fetched
from stream_app.adapters.kafka.faust_transport.transport import BatchingTransport

__all__ = ["BatchingTransport", "Fetched"]
