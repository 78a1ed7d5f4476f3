"""The `stream-app state` commands."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, NamedTuple

import typer

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.cli.options import ConfigOption, JsonOption, SetOption, load_settings
from stream_app.cli.output import iso_time, results, write_document
from stream_app.cli.tables import show_table
from stream_app.config import LiveConfig
from stream_app.core.alerts.ranking import Ranking
from stream_app.core.customers.codec.states import decode_customers
from stream_app.core.customers.consent import has_opted_out
from stream_app.core.customers.customer import Customer
from stream_app.core.partition.progress import Summary, decode_summary
from stream_app.core.state.vector import EMPTY, SLOTS, TIME_SLOTS
from stream_app.core.units import DAY_US
from stream_app.errors import UnknownCustomer
from stream_app.services.runtime.stores import Stores, with_stores

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Show the stored state of a customer.")
_NAME_AND_VALUE: Final = {"name": 0, "value": 24}
_LISTS: Final = ("facts", "waiting")


@app.command()
def show(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="Id of the customer.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Show the stored state of a customer: score, decisions without a label, and state vector."""
    settings = load_settings(config, given=given)
    stored = with_stores(settings, lambda stores: stored_customer(stores, settings, customer))
    content = _content(stored)
    if as_json:
        write_document(content)
        return
    console = results()
    rows = [(name, "none" if value is None else str(value)) for name, value in content.items() if name not in _LISTS]
    show_table(console, f"Customer {customer}", _NAME_AND_VALUE, rows)
    decisions = [
        (one["decided_at"], f"{one['probability']:.3f}", str(one["version"]), "yes" if one["returned"] else "no")
        for one in content["waiting"]
    ]
    columns = dict.fromkeys(("decided at", "probability", "version", "ordered since"), 0)
    show_table(console, "Decisions without a label", columns, decisions)
    vector = [(name, _shown(name, value)) for name, value in content["facts"].items()]
    show_table(console, "State vector (docs/reference/state.md); times in UTC", _NAME_AND_VALUE, vector)


class StoredCustomer(NamedTuple):
    """A customer's stored state, and the partition's summary."""

    customer: Customer
    partition: int
    stored_bytes: int
    score: float  # NaN: none
    summary: Summary


async def stored_customer(stores: Stores, config: LiveConfig, name: str) -> StoredCustomer:
    """Return the stored state of a customer. Raises UnknownCustomer."""
    number = partition_of(name, config.kafka.partitions)
    stored = await stores.states.state(number, name)
    if stored is None:
        raise UnknownCustomer(customer=name, partition=number)
    settings = config.shop.settings()
    restored = decode_customers([(name, stored)], settings.horizon)
    ranking = Ranking(settings.agreement)
    customer = restored.customers[0]
    customer.index = 0
    restored.rank(ranking)
    summary = (await stores.states.summaries([number]))[number]
    return StoredCustomer(
        customer,
        number,
        len(stored),
        ranking.latest(0),
        decode_summary(summary) if summary else Summary(),
    )


def _content(stored: StoredCustomer) -> dict[str, Any]:
    customer = stored.customer
    return {
        "customer": customer.name,
        "partition": stored.partition,
        "probability": None if math.isnan(stored.score) else round(stored.score, 4),
        "next_decision": iso_time(customer.due) if customer.due else None,
        "alert": customer.alert.alert_id if customer.alert else None,
        "opted_out_at": iso_time(customer.consent) if has_opted_out(customer.consent) else None,
        "stored_bytes": stored.stored_bytes,
        "waiting": [
            {
                "decided_at": iso_time(one.decided_at),
                "probability": one.probability,
                "version": one.version,
                "returned": one.returned,
            }
            for one in customer.waiting
        ],
        "facts": {
            name: value for name, value, empty in zip(SLOTS, customer.vector, EMPTY, strict=True) if value != empty
        },
    }


def _shown(name: str, value: float) -> str:
    """Format a value of the state vector as a time, a day of the shop's calendar, or a number.

    >>> _shown("last_order", 19_675.5), _shown("order_day_7", 19_675.0), _shown("orders", 3.0)
    ('2023-11-14T12:00:00+00:00', '2023-11-14', '3')
    """
    if name not in TIME_SLOTS:
        return f"{value:g}"
    moment = iso_time(round(value * DAY_US))
    return moment.partition("T")[0] if name.startswith("order_day_") else moment
