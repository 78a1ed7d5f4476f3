"""Real servers on loopback for tests and benchmarks: a Kafka broker, and Debian's redis-server and Prometheus.

```python
from tests.harness.servers import KafkaServer, RedisServer

with KafkaServer() as kafka, RedisServer() as redis:
    ...  # kafka.bootstrap is "127.0.0.1:40123", redis.url is "redis://127.0.0.1:40124/0"
```
"""

from tests.harness.servers.kafka import KafkaServer
from tests.harness.servers.process import Missing, Server
from tests.harness.servers.prometheus import PrometheusServer
from tests.harness.servers.redis import RedisServer

__all__ = ["KafkaServer", "Missing", "PrometheusServer", "RedisServer", "Server"]
