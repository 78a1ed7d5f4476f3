"""Real servers on loopback for tests and benchmarks: a Kafka broker, and Debian's redis-server and Prometheus.

```python
from benchmarks.servers import KafkaServer, RedisServer

with KafkaServer() as kafka, RedisServer() as redis:
    ...  # kafka.bootstrap is "127.0.0.1:40123", redis.url is "redis://127.0.0.1:40124/0"
```
"""

from benchmarks.servers.kafka import KafkaServer
from benchmarks.servers.process import Missing, Server
from benchmarks.servers.prometheus import PrometheusServer
from benchmarks.servers.redis import RedisServer

__all__ = ["KafkaServer", "Missing", "PrometheusServer", "RedisServer", "Server"]
