"""Templates of somebody who may write texts, but not run programs: known ways out of a sandbox, and what they cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from stream_app.core.causes.explanation import Explanation
from stream_app.errors import BadTemplate
from stream_app.notifications.messages import composer as composer_module
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.messages.template_loader import FILTERS, FUNCTIONS, MAX_SOURCE_BYTES, TESTS, Templates
from stream_app.notifications.playbook.playbook import load_playbook
from tests.unit.notifications.messages.test_composer import ALERT, COMPOSER, changed, template

SECRET: Final = "s3cret-of-the-environment"
BIG: Final = "9" * 10  # of characters or of rounds

# Each reads the environment, a file, or what leads there, somewhere.
WAYS_OUT: Final = [
    '{{ strong.format("{0.__globals__}", strong) }}',
    '{{ strong.format_map({"a": alert}) }}',
    '{{ strong("{0.__class__}").format(alert) }}',
    '{{ "{0.__class__.__init__.__globals__[os].environ}".format(alert) }}',
    '{{ "{a.__class__}".format_map({"a": alert}) }}',
    '{{ ("{0.__class__}" ~ "").format(strong) }}',
    '{{ "{0.__class__}"|safe.format(alert) }}',
    '{{ ("{0.__class__}"|safe).format(alert) }}',
    '{{ ("{0.__class__}"|escape).format(alert) }}',
    '{{ alert.who.format.__self__ }}',
    '{{ alert.who.format }}',
    '{{ alert["who"]["format"] }}',
    '{{ alert.who["__class__"] }}',
    '{{ alert|attr("__class__") }}',
    '{{ alert|attr("who")|attr("format") }}',
    '{{ [alert]|map(attribute="__class__")|list }}',
    '{{ [alert]|map("attr", "__class__")|list }}',
    '{{ [alert]|groupby("__class__") }}',
    '{{ [alert]|selectattr("__class__")|list }}',
    '{{ [alert]|sort(attribute="__class__")|list }}',
    '{{ alert.causes|join(", ", attribute="__class__") }}',
    '{{ "{0.__class__}"|format(alert) }}',
    '{{ "%(a)s"|format(a=alert.__class__) }}',
    '{{ "%s" % alert.__class__ }}',
    "{{ alert.__class__ }}",
    "{{ alert.__init__.__globals__ }}",
    "{{ alert.__dataclass_fields__ }}",
    "{{ alert.__getattribute__('who') }}",
    "{{ ().__class__.__base__.__subclasses__() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ (1).__class__ }}",
    "{{ strong.__globals__ }}",
    "{{ strong.__code__ }}",
    "{{ strong }}",
    "{{ strong ~ '' }}",
    "{{ [strong]|first }}",
    "{{ strong|string }}",
    "{{ strong(alert.__class__) }}",
    "{{ strong(*[alert.__class__]) }}",
    "{{ strong(**{'text': alert.__class__}) }}",
    "{{ (strong)(strong) }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{% block a %}{{ super.__init__ }}{% endblock %}",
    "{{ loop }}",
    "{% for one in alert.causes %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% for one in alert.causes %}{{ loop._iterator.gi_frame }}{% endfor %}",
    "{% for one in alert.causes %}{{ loop.cycle.__func__.__globals__ }}{% endfor %}",
    "{% for one in alert.causes recursive %}{{ loop([alert.causes]) }}{% endfor %}",
    "{{ (x for x in alert.causes).gi_frame }}",
    "{{ cycler.__init__.__globals__.os.environ }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__.os.environ }}",
    "{{ dict.__base__.__subclasses__() }}",
    "{{ dict(a=1).__class__ }}",
    "{{ range.__class__ }}",
    "{{ url_for.__globals__ }}",
    "{{ config }}",
    "{{ request }}",
    "{% macro a() %}{{ caller.__globals__ }}{{ varargs }}{% endmacro %}{% call a() %}{% endcall %}",
    "{% macro a() %}{% endmacro %}{{ a.__init__.__globals__ }}",
    "{% set a = strong %}{{ a.__globals__ }}",
    "{% set a %}{{ alert.__class__ }}{% endset %}",
    "{% with a = strong %}{{ a.__globals__ }}{% endwith %}",
    "{% for strong in [1] %}{{ strong }}{% endfor %}",
    "{% include '../../../../etc/passwd' %}",
    "{% include '/etc/passwd' %}",
    "{% include 'en/item.j2' %}",
    "{% include 'en/../../../staff/playbook.yaml' %}",
    "{% import 'en/item.j2' as a %}{{ a.__class__ }}",
    "{% from 'en/item.j2' import a %}",
    "{% extends 'en/item.j2' %}",
    "{% autoescape true %}{{ alert.who }}{% endautoescape %}",
    "{% filter upper %}{{ alert.who }}{% endfilter %}",
    "{% do alert.steps.append(1) %}",
    "{% debug %}",
    "{{ alert.steps.append(1) }}",
    "{{ alert is callable }}",
    "{{ alert is sameas strong }}",
]  # fmt: skip

# Each would take gigabytes, or hours.
BOMBS: Final = [
    "{% for one in range(100000) %}{% for two in range(100000) %}x{% endfor %}{% endfor %}",
    f"{{{{ range({BIG})|list }}}}",
    f"{{{{ 'x' * {BIG} }}}}",
    f"{{{{ {BIG} * 'x' }}}}",
    f"{{{{ [0] * {BIG} }}}}",
    f"{{{{ {BIG} ** {BIG} }}}}",
    f"{{{{ '%{BIG}d' % 1 }}}}",
    f"{{{{ '%{BIG}d'|format(1) }}}}",
    f"{{{{ '%{BIG}d' is odd }}}}",
    f"{{{{ '%{BIG}d' is divisibleby 3 }}}}",
    f"{{{{ '{{:{BIG}}}'.format(1) }}}}",
    f"{{{{ 'x'.ljust({BIG}) }}}}",
    f"{{{{ 'x'.replace('', 'x' * {BIG}) }}}}",
    f"{{{{ 'x'|center({BIG}) }}}}",
    f"{{{{ 'x'|indent({BIG}) }}}}",
    f"{{{{ 'x'|wordwrap(1, wrapstring='x' * {BIG}) }}}}",
    f"{{{{ [1]|batch({BIG}, 'x')|list }}}}",
    f"{{{{ [1]|slice({BIG})|list }}}}",
    f"{{{{ {{}}|tojson(indent={BIG}) }}}}",
    f"{{{{ 5|round(-{BIG}) }}}}",
    f"{{{{ 5|round({BIG}, 'ceil') }}}}",
    f"{{{{ lipsum(n={BIG}) }}}}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "{{ 'x'" + "|replace('x', 'xxxxxxxxxx')" * 12 + " }}",
    "{{ 'xxxxxxxxxx'" + "|join('xxxxxxxxxx')" * 12 + " }}",
    "{{ [1,1,1,1]|join([1,1,1,1]|join([1,1,1,1]|join('x'))) }}",
    "{{ alert.evidence|join(alert.evidence|join('x')) }}",
    "{% for a in ['x' ~ 'x'] %}{% for b in [a ~ a] %}{% for c in [b ~ b] %}{{ c }}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in alert.who %}{% for b in alert.who %}{% for c in alert.who %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in alert.evidence[0] %}" + "x" * 3_000 + "{% endfor %}",
    "{% for steps in alert.steps %}{% for a in steps %}x{% endfor %}{% endfor %}",
    "{% for a in {'causes': alert.who}.causes %}x{% endfor %}",
    "{% for a in alert['who'] %}x{% endfor %}",
    "{% for a in 'x' %}x{% endfor %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% macro a() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}",
    "{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}",
    "{{ " + "not " * 3_000 + "1 }}",
    "{{ " + "-" * 5_000 + "1 }}",
    "{{ 1" + " + 1" * 4_000 + " }}",
    "{{ alert" + "[0]" * 5_000 + " }}",
    "{{ " + "[" * 5_000 + "]" * 5_000 + " }}",
    "{{ " + "9" * 5_000 + " }}",
    "{% if 1 %}" * 1_000 + "{% endif %}" * 1_000,
    "x" * (MAX_SOURCE_BYTES + 1),
    "\udcff",
]

_RENDERS: Final = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
from stream_app.errors import BadTemplate
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.playbook.playbook import load_playbook
from tests.unit.notifications.messages.test_composer import ALERT
for folder in sorted(Path(sys.argv[1]).iterdir(), key=lambda one: int(one.name)):
    try:
        composer = PlaybookComposer(load_playbook(), folder)
        print(folder.name, "fine", len(composer.alert(ALERT, "en", 2048).plain), flush=True)
    except BadTemplate as error:
        print(folder.name, "refused", flush=True)
"""


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_APP_REDIS__PASSWORD", SECRET)


@pytest.mark.parametrize("text", WAYS_OUT)
@pytest.mark.parametrize("name", ["alert", "item", "title"])
def test_no_template_finds_a_way_out(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(BadTemplate):
        PlaybookComposer(load_playbook(), template(tmp_path, text, f"en/{name}.j2"))


def test_no_template_takes_gigabytes_or_hours(tmp_path: Path) -> None:
    for number, text in enumerate(BOMBS):
        file = tmp_path / str(number) / "en" / "alert.j2"
        file.parent.mkdir(parents=True)
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _RENDERS, str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[4], timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{BOMBS[len(done.stdout.splitlines())][:200]}\n{done.stderr[-2_000:]}"
    refused = [line.split()[1] for line in done.stdout.splitlines()]
    fine = [BOMBS[place][:200] for place, word in enumerate(refused) if word == "fine"]
    assert fine == [], "nothing of this is a message"
    assert len(refused) == len(BOMBS)
    assert time.monotonic() - started < 60


def test_what_a_template_of_the_largest_size_asks_for_is_quick(tmp_path: Path) -> None:
    """Two loops with an expression as long as can be, that is not shown."""
    condition = "{% if (" + " ~ ".join(["alert.who"] * 800) + ") == 1 %}{% endif %}"
    text = f"{{% for a in alert.causes %}}{{% for b in alert.evidence %}}{condition}{{% endfor %}}{{% endfor %}}"
    assert MAX_SOURCE_BYTES * 0.9 < len(text) < MAX_SOURCE_BYTES
    started = time.process_time()
    PlaybookComposer(load_playbook(), template(tmp_path, text)).alert(ALERT, "en", 2_048)
    assert time.process_time() - started < 5.0


def test_a_text_that_grows_beyond_all_channels_is_cut_off_while_it_grows(tmp_path: Path) -> None:
    text = "{% for a in alert.causes %}{% for b in alert.steps %}" + "x" * 9_000 + "{% endfor %}{% endfor %}"
    templates = Templates(template(tmp_path, text))
    few, many = SimpleNamespace(causes=[1], steps=[1]), SimpleNamespace(causes=[1] * 10**6, steps=[1] * 10**6)
    assert len(templates.render("en", "alert", {"alert": few})) == 9_000
    with pytest.raises(BadTemplate, match="longer than 60,000 characters"):
        templates.render("en", "alert", {"alert": many})


def test_blank_lines_cost_no_more_than_others(tmp_path: Path) -> None:
    text = "{% for a in alert.causes %}{% for b in alert.steps %}" + "\n " * 4_000 + "{% endfor %}{% endfor %}x"
    templates = Templates(template(tmp_path, "y" + text))
    started = time.process_time()
    said = templates.render("en", "alert", {"alert": SimpleNamespace(causes=[1] * 7, steps=[1])})
    assert time.process_time() - started < 1.0
    assert said == "y \n\nx"


# --- the folder ----------------------------------------------------------------------------------------------------


def folder_with(tmp_path: Path, kind: str) -> Path:
    """A folder of templates in which one is not what it should be."""
    own, outside = tmp_path / "own", tmp_path / "outside"
    (own / "zh").mkdir(parents=True)
    (outside / "en").mkdir(parents=True)
    (outside / "en" / "alert.j2").write_text(SECRET)
    match kind:
        case "link":
            (own / "en").mkdir()
            (own / "en" / "alert.j2").symlink_to(outside / "en" / "alert.j2")
        case "linked folder":
            (own / "en").symlink_to(outside / "en")
        case "loop":
            (own / "en").mkdir()
            (own / "en" / "alert.j2").symlink_to("alert.j2")
        case "dangling":
            (own / "en").mkdir()
            (own / "en" / "alert.j2").symlink_to("nowhere")
        case "folder":
            (own / "en" / "alert.j2").mkdir(parents=True)
        case "pipe":
            (own / "en").mkdir()
            os.mkfifo(own / "en" / "alert.j2")
        case "device":
            (own / "en").mkdir()
            (own / "en" / "alert.j2").symlink_to("/dev/zero")
    return own


@pytest.mark.parametrize("kind", ["link", "linked folder", "loop", "dangling", "folder", "pipe", "device"])
def test_a_folder_of_templates_leads_to_no_other_file(tmp_path: Path, kind: str) -> None:
    with pytest.raises(BadTemplate) as refused:
        PlaybookComposer(load_playbook(), folder_with(tmp_path, kind))
    assert SECRET not in str(refused.value)


def test_links_within_the_folder_are_followed_as_a_config_map_needs_it(tmp_path: Path) -> None:
    own = tmp_path / "mounted"
    template(own / "..2026", "Ring {{ alert.who }}")
    (own / "..data").symlink_to("..2026")
    (own / "en").symlink_to("..data/en")
    assert PlaybookComposer(load_playbook(), own).alert(ALERT, "en", 2_048).plain == "Ring 王••••5678"


# --- all values ----------------------------------------------------------------------------------------------------


def values_given(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """Everything that the composer hands to any template, in both languages and forms."""
    given: list[Mapping[str, Any]] = []
    render = Templates.render

    def watched(self: Templates, language: str, name: str, values: Mapping[str, Any]) -> str:
        given.append(values)
        return render(self, language, name, values)

    monkeypatch.setattr(Templates, "render", watched)
    for language in ("en", "zh"):
        COMPOSER.alert(ALERT, language, 200)
        COMPOSER.alert(changed(urgent=True, explanation=Explanation()), language, 4_096)
        COMPOSER.digest([ALERT, changed(shop_id="s1", usual_gap_days=3.0)], language, 2_048)
    return given


def reachable(environment: Any, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A value, and all that a template reaches from it by names and places."""
    yield path, value
    if isinstance(value, str | int | float | None):
        inner: list[tuple[str, Any]] = [(name, getattr(value, name)) for name in dir(value)]
        inner = [(name, one) for name, one in inner if environment.is_safe_attribute(value, name, one)]
        for name, one in inner:
            yield f"{path}.{name}", one
        return
    if isinstance(value, list | tuple):
        for place, one in enumerate(value):
            yield from reachable(environment, one, f"{path}[{place}]")
    for name in dir(value):
        one = getattr(value, name, None)
        if environment.is_safe_attribute(value, name, one):
            yield from reachable(environment, one, f"{path}.{name}")


def test_of_all_values_none_is_a_type_and_none_can_be_called_but_our_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = COMPOSER._templates._environment
    ours = {"strong": (composer_module._strong, composer_module._plain)}
    assert tuple(ours) == FUNCTIONS
    seen = set()
    for values in values_given(monkeypatch):
        for name, value in values.items():
            if name in ours:
                assert value in ours[name]
                assert value("a{0.__class__}") in {"a{0.__class__}", "**a{0.__class__}**"}
                continue
            for path, one in reachable(environment, value, name):
                assert not isinstance(one, type), path
                assert not callable(one), path
                assert isinstance(one, str | int | float | tuple | list | None) or not path.count(".") > 1, path
                seen.add(path.partition("[")[0])
    assert {"alert.who", "alert.causes", "budget.steps", "alerts", "total", "contacts_a_week"} <= seen


def test_the_environment_has_nothing_of_its_own_but_a_few_filters_and_tests() -> None:
    environment = COMPOSER._templates._environment
    assert environment.globals == {}
    assert environment.extensions == {}
    assert (set(environment.filters), set(environment.tests)) == (set(FILTERS), set(TESTS))
    for one in (*environment.filters.values(), *environment.tests.values()):
        assert callable(one)
        assert not isinstance(one, type)
    for loaded in ("en/alert.j2", "zh/alert.j2", "en/item.j2", "en/title.j2"):
        assert dict(environment.get_template(loaded).globals) == {}


# --- the words of others -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theirs", ["{{ 7 * 7 }}", "{% for a in b %}", "{0.__class__}", "%(a)s %s", "{#", "${a}", "$a"])
def test_what_others_have_written_is_never_a_template(tmp_path: Path, theirs: str) -> None:
    odd = changed(customer_id=theirs, shop_id=theirs, alert_id=theirs)
    own = template(tmp_path, "{{ alert.who }}|{{ alert.shop }}|{{ alert.alert_id }}")
    expected = COMPOSER._views.view(odd, "en")
    text = PlaybookComposer(load_playbook(), own).alert(odd, "en", 2_048).plain
    assert text == f"{expected.who}|{expected.shop}|{expected.alert_id}"
    assert "49" not in text


def test_what_a_template_may_do_is_enough_for_a_message(tmp_path: Path) -> None:
    text = (
        "{% if alert.urgent and alert.rank > 0 %}!{% elif not alert.worth is none %}{{ strong(alert.who | upper) }}"
        '{% endif %} {{ alert.worth or "nothing" }} {{ (alert.percent + 1) // 2 }} {{ alert.steps | length }}\n'
        '{% for cause in alert.causes[:budget.causes] if cause.percent > 5 %}{{ loop.index }} {{ cause.name | title }}'
        '{{ "" if loop.last else "; " }}{% else %}none{% endfor %}\n'
        '{{ alert.evidence | join(" / ") }} {{ {"sms": "by SMS"}[alert.channel] }} {{ alert.segment | default("?") }}'
        '{{ " in" if alert.channel in ("sms", "email") }}'
    )  # fmt: skip
    said = PlaybookComposer(load_playbook(), template(tmp_path, text), currency="CNY").alert(ALERT, "en", 4_096)
    assert said.markdown.startswith("**王••••5678** ¥1,320 44 3")
    assert "\n1 Forgot The Shop; 2 Price" in said.plain
    assert said.plain.endswith(
        "one purchase, 40 days ago / never favourited the shop or a product by SMS one-time buyer in"
    )
