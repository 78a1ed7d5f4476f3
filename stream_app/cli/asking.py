"""`stream-app health`: the health check of a container, which has no curl."""

from __future__ import annotations

from rich.console import Console

from stream_app.adapters.http.probe import ask
from stream_app.config import LiveConfig
from stream_app.config import PORT_OFFSETS
from stream_app.errors import BadOption

_SHOP_OFFSET = 4  # as demo.shop has it, which takes a second to import
_RECEIVER_PORT = 8080


def port_of(service: str, config: LiveConfig) -> int:
    """Where a service tells how it is. Raises BadOption.

    >>> port_of("trainer", LiveConfig()), port_of("shop", LiveConfig()), port_of("receiver", LiveConfig())
    (9465, 9468, 8080)
    """
    if service == "receiver":
        return _RECEIVER_PORT
    offsets = {**PORT_OFFSETS, "shop": _SHOP_OFFSET}
    if service not in offsets:
        raise BadOption(option="the service", value=service, remedy=f"Name one of {', '.join(offsets)}, receiver.")
    if not config.health.port:
        raise BadOption(option="health.port", value=0, remedy="The service tells nobody how it is: give it a port.")
    return config.health.port + offsets[service]


def run_health(service: str, port: int, console: Console) -> int:
    """Ask, and say why it is not ready; the exit status."""
    answer = ask(port)
    if not answer.ready:
        console.print(f"{service} is not ready: {answer.reason}", highlight=False, markup=False, soft_wrap=True)
    return 0 if answer.ready else 1
