"""The `stream-app acls` commands."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_app.adapters.kafka.acls import kafka_acls
from stream_app.adapters.redis.acls import redis_acls
from stream_app.cli.options import ConfigOption, SetOption, load_settings

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Print the permissions that the services need in Kafka and Redis."
)

UserOption = Annotated[
    str | None,
    typer.Option("--user", help="One user for all services. Default: one per service, such as churn-worker."),
]


@app.command()
def kafka(user: UserOption = None, config: ConfigOption = None, given: SetOption = None) -> None:
    """Print a shell script that grants the permissions with kafka-acls.sh."""
    typer.echo(kafka_acls(load_settings(config, given=given).kafka, user), nl=False)


@app.command()
def redis(user: UserOption = None, config: ConfigOption = None, given: SetOption = None) -> None:
    """Print an ACL file for redis-server, without passwords."""
    typer.echo(redis_acls(load_settings(config, given=given).redis, user), nl=False)
