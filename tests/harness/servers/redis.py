"""Debian's redis-server on loopback."""

from __future__ import annotations

from collections.abc import Sequence

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.harness.servers.process import Server, program


class RedisServer(Server):
    """A Redis on a free loopback port. It loses everything at `kill` unless `appendonly`.

    Args:
        appendonly: write and flush every command to a file before replying, so that `kill` and `start` lose nothing.
        options: further options of redis-server, such as `["--aclfile", "users.acl"]`.
    """

    def __init__(self, *, appendonly: bool = False, options: Sequence[str] = ()) -> None:
        super().__init__()
        self._appendonly, self._options = appendonly, list(options)

    @property
    def url(self) -> str:
        """Address for clients: "redis://127.0.0.1:port/0"."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> Sequence[str]:
        redis_server = program("redis-server", "redis-server")
        persistence = ["--appendonly", "yes", "--appendfsync", "always"] if self._appendonly else ["--appendonly", "no"]
        address = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [redis_server, *address, "--save", "", *persistence, *self._options]

    def _ready(self) -> bool:
        try:
            with redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0), socket_timeout=1.0) as client:
                return bool(client.ping())
        except redis.AuthenticationError:  # it answers, but requires a password
            return True
        except redis.ConnectionError:
            return False
