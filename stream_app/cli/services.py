"""The service commands: worker, trainer, allocator and notifier.

`services/__init__.py` says what each of them does; docs/architecture.md has a table of all processes.
"""

from __future__ import annotations

import typer

from stream_app.cli.options import BootstrapOption, ConfigOption, SetOption, load_settings
from stream_app.services.runtime.process import run_service


def worker(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Run a worker: process events, score customers and find alert candidates.

    Any number of workers can run; they share the partitions.
    """
    from stream_app.services.worker.service import WorkerService

    raise typer.Exit(run_service("worker", load_settings(config, bootstrap, given), WorkerService))


def trainer(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Run the trainer: update the model from labelled decisions.

    Run exactly one instance.
    """
    from stream_app.services.trainer.service import TrainerService

    raise typer.Exit(run_service("trainer", load_settings(config, bootstrap, given), TrainerService))


def allocator(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Run the allocator: open the day's alerts, chosen from all candidates.

    Run exactly one instance.
    """
    from stream_app.services.allocator.service import AllocatorService

    raise typer.Exit(run_service("allocator", load_settings(config, bootstrap, given), AllocatorService))


def notifier(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Run the notifier: deliver alerts to chats and webhooks.

    Run exactly one instance.
    """
    from stream_app.services.notifier.service import NotifierService

    raise typer.Exit(run_service("notifier", load_settings(config, bootstrap, given), NotifierService))
