"""Demo without any server: a simulated shop, an embedded Kafka and Redis, and the real services on top of them."""

from stream_app.demo.session import run_demo
from stream_app.demo.settings import Request

__all__ = ["Request", "run_demo"]
