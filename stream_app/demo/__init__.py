"""A first look without any server: a living shop, a broker and a Redis of its own, and the real services over them."""

from stream_app.demo.session import Request, run_demo

__all__ = ["Request", "run_demo"]
