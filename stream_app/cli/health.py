"""The `stream-app health` command, for health checks in containers that lack curl."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from stream_app.adapters.http.probe import why_not_ready
from stream_app.cli.options import ConfigOption, SetOption, load_settings, one_of
from stream_app.cli.output import messages
from stream_app.config import PORT_OFFSETS, LiveConfig
from stream_app.errors import BadOption

_RECEIVER_PORT: Final = 8080


def health(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help=f"{', '.join(PORT_OFFSETS)} or receiver.")],
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port of the health endpoint. Default: from the settings.")
    ] = None,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Check whether a service on this machine is ready.

    If it is not, prints the reason and exits with status 1.
    """
    reason = why_not_ready(port or port_of(service, load_settings(config, given=given)))
    if reason:
        text = f"{service} is not ready: {reason}"
        messages().print(text, highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1)


def port_of(service: str, config: LiveConfig) -> int:
    """Return the health port of a service. Raises BadOption.

    >>> port_of("trainer", LiveConfig()), port_of("shop", LiveConfig()), port_of("receiver", LiveConfig())
    (9465, 9468, 8080)
    """
    if one_of("SERVICE", service, (*PORT_OFFSETS, "receiver")) == "receiver":
        return _RECEIVER_PORT
    if not config.health.port:
        remedy = "The health endpoint is disabled; set `health.port`, or use --port."
        raise BadOption(option="health.port", value=0, remedy=remedy)
    return config.health.port + PORT_OFFSETS[service]
