"""The demo's page: what it is told, to whom it answers, and that nothing of it can run or leave the machine."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from standardwebhooks import Webhook

from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.messages.alerts import AlertClosed
from stream_app.demo.page_model import PageModel
from stream_app.demo.secrets import new_secret
from stream_app.demo.simulation import Phase, Plan
from stream_app.demo.state import DemoState, ServiceStatus
from stream_app.demo.web_page import WebPage
from stream_app.errors import CannotListen
from stream_app.i18n import Translator
from stream_app.notifications.messages.alert_view import Views
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.notifications.webhook_signature import Verifier, webhook_key
from tests.unit.demo.test_demo import AT, NOON, board, opened

WHY = Explanation("one_time", (Cause("forgot_shop", 0.61),), (Evidence("silence_once", {"days": 46.0}),))


def page_in(lang: str) -> WebPage:
    translator = Translator(lang, "demo")
    return WebPage(
        translator, PageModel(translator, Views(load_playbook(), "Asia/Shanghai", "CNY"), Plan(100, 9, 9, 1.0)), 0
    )


@pytest.fixture(params=["en", "zh"])
def page(request: pytest.FixtureRequest) -> Iterator[WebPage]:
    with page_in(request.param) as served:
        yield served


def shop(phase: Phase = Phase.LIVE) -> Any:
    return SimpleNamespace(phase=phase, now=AT, began=AT, history_share=0.42)


def shown(page: WebPage, board: DemoState, *changes: Any, phase: Phase = Phase.LIVE) -> None:
    """Show what has changed, as the demo does."""
    changed = [listed for listed in map(board.apply_alert, changes) if listed is not None]
    board.record_sent(0.0, 0)
    page.update(board, shop(phase), changed, 42.0)


def get(page: WebPage, path: str, host: str = "") -> tuple[int, bytes, dict[str, str]]:
    port = int(page.address.rstrip("/").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


def state(page: WebPage, after: int = 0) -> dict[str, Any]:
    status, body, _ = get(page, f"/state?after={after}")
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


def explained(number: int) -> Any:
    return msgspec.structs.replace(opened(number), explanation=WHY)


def test_an_alert_is_told_with_cause_evidence_and_measure(page: WebPage) -> None:
    shown(page, board(), explained(1))
    (alert,) = state(page)["alerts"]
    lang = "zh" if alert["risk"].startswith("风险") else "en"
    measure = load_playbook().measure("forgot_shop", "one_time")
    assert alert["causes"] == [{"name": Translator(lang).cause("forgot_shop"), "percent": 61, "text": "61%"}]
    assert alert["evidence"] == [Translator(lang).evidence(WHY.evidence[0].rule, WHY.evidence[0].numbers)]
    assert alert["steps"] == [step.text(lang) for step in measure.steps]
    assert measure.never[0].text(lang) in alert["never"]
    assert "120" in alert["about"]
    assert alert["who"] == "c••0001"
    assert state(page)["states"] == {"al_1": "open"}


def test_who_asks_again_gets_what_is_new_and_how_the_others_are(page: WebPage) -> None:
    told = board()
    shown(page, told, *(explained(number) for number in range(3)))
    assert [alert["number"] for alert in state(page)["alerts"]] == [1, 2, 3]
    shown(page, told, AlertClosed("al_1", "c00000001", NOON, "returned"), explained(9))
    later = state(page, after=3)
    assert [alert["alert_id"] for alert in later["alerts"]] == ["al_9"]
    assert later["states"] == {"al_0": "open", "al_1": "returned", "al_2": "open", "al_9": "open"}


def test_only_the_latest_alerts_are_kept_and_an_old_one_that_ends_does_not_come_back(page: WebPage) -> None:
    told = board()
    shown(page, told, *(explained(number) for number in range(100)))
    shown(page, told, AlertClosed("al_1", "c00000001", NOON, "returned"))
    kept = state(page)
    assert len(kept["alerts"]) == len(kept["states"]) == 60
    assert kept["alerts"][-1]["number"] == 100
    assert "al_1" not in kept["states"]


def test_the_figures_are_those_of_the_board(page: WebPage) -> None:
    told = board()
    told.record_services(1.0, {"worker": ServiceStatus(True, {"churn_events_scored_total": 1_234.0})})
    shown(page, told, opened(1))
    figures = state(page)["figures"]
    assert [band["count"] for band in figures["bands"]] == [1, 0, 0, 1]
    assert figures["history"] is None
    assert "42" in figures["left"]
    assert any("1,234" in part["text"] for part in figures["parts"])
    shown(page, told, phase=Phase.HISTORY)
    assert state(page)["figures"]["history"] == 42


@pytest.mark.parametrize("path", ["/state?after=x", "/state?after=", "/state?after=1&after=2", "/state"])
def test_odd_questions_are_answered_too(path: str) -> None:
    with page_in("en") as page:
        shown(page, board(), opened(1))
        assert get(page, path)[0] == 200


def test_what_the_deliverer_brings_is_marked_and_nothing_else_is_taken() -> None:
    translator, secret = Translator("en", "demo"), new_secret("webhook")
    model = PageModel(translator, Views(load_playbook(), "UTC", ""), Plan(100, 9, 9, 1.0))
    body = json.dumps({"type": "alert.opened", "data": {"alert": {"alert_id": "al_1"}}}).encode()
    now = datetime.now(UTC)
    signed = {
        "webhook-id": "al_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("al_1", now, body.decode()),
    }
    with WebPage(translator, model, 0, Verifier(webhook_key(secret))) as page:
        shown(page, board(), explained(1))
        assert posted(page, body, {}) == posted(page, body + b" ", signed) == 401
        assert posted(page, body, signed, "/elsewhere") == 404
        assert state(page)["delivered"] == []
        assert posted(page, body, signed) == 204
        assert state(page)["delivered"] == ["al_1"]
    with page_in("en") as page:
        assert posted(page, body, signed) == 401  # nothing was to be delivered to this one


def posted(page: WebPage, body: bytes, headers: Mapping[str, str], path: str = "/delivered") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(page.address).port or 0, timeout=5)
    try:
        connection.request("POST", path, body, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/nothing", "/../session.py", "/state/", "/%2e%2e/web_page.py"])
def test_there_is_nothing_else(page: WebPage, path: str) -> None:
    assert get(page, path)[0] == 404


def test_before_anything_is_known_it_says_so(page: WebPage) -> None:
    told = state(page)
    assert (told["alerts"], told["states"], told["delivered"]) == ([], {}, [])
    _, body, _ = get(page, "/")
    assert told["figures"]["clock"] in body.decode()
    assert set(told["figures"]) == set(figures_of(page))


def figures_of(page: WebPage) -> dict[str, Any]:
    """The figures when something is known."""
    shown(page, board())
    found: dict[str, Any] = state(page)["figures"]
    return found


def test_the_page_tells_what_is_known_before_its_script_has_run(page: WebPage) -> None:
    told = board()
    shown(page, told, explained(1), explained(2))
    shown(page, told, AlertClosed("al_1", "c00000001", NOON, "returned"))
    text = get(page, "/")[1].decode()
    now = state(page)
    assert now["figures"]["clock"] in text
    assert "starting" not in text
    assert "正在启动" not in text
    for alert in now["alerts"]:
        assert all(alert[part] in text for part in ("who", "risk", "about", "until"))
        assert all(step in text for step in alert["steps"])
    assert re.findall(r'class="alert (b\d(?: ended)?)" data-id="(\w+)"', text) == [("b0", "al_2"), ("b0 ended", "al_1")]
    assert 'data-after="2"' in text


def test_alerts_stand_in_the_order_in_which_they_were_opened_not_in_which_they_came(page: WebPage) -> None:
    told = board()
    late = [
        msgspec.structs.replace(explained(number), opened_at=NOON - timedelta(hours=number)) for number in (3, 9, 1)
    ]
    shown(page, told, *late)
    assert [one.alert.alert_id for one in told.listed] == ["al_1", "al_3", "al_9"]
    assert re.findall(r'data-id="(al_\d)"', get(page, "/")[1].decode()) == ["al_1", "al_3", "al_9"]


def test_nobody_is_answered_under_another_name(page: WebPage) -> None:
    assert get(page, "/", host="evil.example:80")[0] == 404
    assert get(page, "/", host="localhost:1")[0] == 200


def test_the_page_loads_nothing_from_elsewhere_and_runs_only_its_own_script(page: WebPage) -> None:
    for path in ("/", "/style.css", "/page.js"):
        status, body, headers = get(page, path)
        assert status == 200
        assert b"http://" not in body
        assert b"https://" not in body
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    _, script, _ = get(page, "/page.js")
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)


def test_the_words_of_the_page_are_all_there(page: WebPage) -> None:
    _, body, _ = get(page, "/")
    script = get(page, "/page.js")[1].decode()
    found = re.search(r'data-words="([^"]*)"', body.decode())
    assert found is not None
    told = json.loads(found[1].replace("&#34;", '"').replace("&#39;", "'").replace("&amp;", "&"))
    assert set(re.findall(r"words\.(\w+)", script)) == set(told)
    assert set(told["states"]) >= {"open", "returned", "fell", "lost", "resolved", "met"}


def test_a_port_that_is_taken_is_told_with_a_way_out(page: WebPage) -> None:
    taken = int(page.address.rstrip("/").rpartition(":")[2])
    translator = Translator("en", "demo")
    model = PageModel(translator, Views(load_playbook(), "UTC", ""), Plan(100, 9, 9, 1.0))
    with pytest.raises(CannotListen, match="Choose another --port, or 0 for any free port"):
        WebPage(translator, model, taken)


def test_two_demos_may_run_at_once_when_nobody_asked_for_a_port(monkeypatch: pytest.MonkeyPatch, page: WebPage) -> None:
    taken = int(page.address.rstrip("/").rpartition(":")[2])
    monkeypatch.setattr("stream_app.demo.web_page.DEFAULT_PORT", taken)
    translator = Translator("en", "demo")
    with WebPage(translator, PageModel(translator, Views(load_playbook(), "UTC", ""), Plan(100, 9, 9, 1.0))) as other:
        assert other.address != page.address
        assert get(other, "/")[0] == 200
