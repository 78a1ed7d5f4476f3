"""The commands `stream-app acls`: what an administrator of Kafka and of Redis grants to the services."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_app.cli.live import ConfigOption, SetOption, settings
from stream_app.cli.telling import errors_told

acls_app = typer.Typer(no_args_is_help=True, help="Print the rights that the services need in Kafka and in Redis.")

UserOption = Annotated[
    str | None, typer.Option("--user", help="One user for all services. Default: one for each, churn-worker and so on.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(acls_app, name="acls")


@acls_app.command("kafka")
def kafka(user: UserOption = None, config: ConfigOption = None, given: SetOption = None) -> None:
    """Print a shell script that grants each service its rights with kafka-acls.sh."""
    with errors_told():
        from stream_app.adapters.kafka.acls import kafka_acls

        typer.echo(kafka_acls(settings(config, given=given).kafka, user), nl=False)


@acls_app.command("redis")
def redis(user: UserOption = None, config: ConfigOption = None, given: SetOption = None) -> None:
    """Print an ACL file for redis-server, without passwords."""
    with errors_told():
        from stream_app.adapters.redis.acls import redis_acls

        typer.echo(redis_acls(settings(config, given=given).redis, user), nl=False)
