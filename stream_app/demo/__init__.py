"""Demo without any server: a simulated shop, an embedded Kafka and Redis, and the real services on top of them."""

from stream_app.demo.session import Request, run_demo

__all__ = ["Request", "run_demo"]
