"""Every notice can be written, in both languages, with as much and as little as there may be."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from activities.rendering import Rendered, render
from schema.formatting import At, clock, length, money, when
from schema.money import Money
from schema.notifications import Language, NotificationKind
from workers.notice_preview import KINDS, LANGUAGES, write_preview
from workers.notice_samples import samples

JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
VOID = {"meta", "br", "img", "hr", "link"}


class Tags(HTMLParser):
    """Which tags are open: every one that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def rendered(kind: NotificationKind, language: Language) -> list[Rendered]:
    return [render(content) for content in samples(kind, language)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_in_every_language(kind: NotificationKind, language: Language) -> None:
    for one in rendered(kind, language):
        for text in (one.subject, one.text, one.html, one.sms, one.title, one.line):
            assert text.strip()
            assert "None" not in text
            assert "{{" not in text
            assert "{%" not in text
            assert bool(JAPANESE.search(text)) == (language == "ja") or "花子" in text
        for text in (one.subject, one.sms, one.title, one.line):
            assert "\n" not in text
        tags = Tags()
        tags.feed(one.html)
        assert tags.open == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_sms_is_short_enough_for_three_parts(kind: NotificationKind) -> None:
    full, _, bare = rendered(kind, "en")
    assert len(full.sms) <= 3 * 153
    assert len(bare.sms) <= 2 * 153


def test_html_escapes_what_suppliers_and_travellers_call_themselves() -> None:
    content = samples("flight_delayed", "en")[0].model_copy(
        update={"given_name": "<script>alert(1)</script>", "late_hotels": ['"Sea & <b>Sun</b>"']}
    )
    html = render(content).html
    assert "<script>" not in html
    assert "<b>Sun" not in html
    assert "Sea &amp; &lt;b&gt;Sun" in html
    assert "&amp;amp;" not in html


def test_what_rings_and_what_the_feed_shows_names_nobody() -> None:
    for kind in KINDS:
        for language in LANGUAGES:
            content = samples(kind, language)[0].model_copy(update={"given_name": "Zyxwvut"})
            one = render(content)
            assert "Zyxwvut" in one.text
            assert "Zyxwvut" not in one.sms + one.title + one.line + one.subject


def test_a_name_that_is_not_there_is_an_error() -> None:
    content = samples("flight_delayed", "en")[0].model_copy(update={"flight": None})
    with pytest.raises(UndefinedError):
        render(content)


def test_times_are_by_the_clock_of_the_place() -> None:
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert when(At(moment=noon, zone="Europe/Lisbon"), "en") == "Wed 1 Jul 2026, 13:00 (Lisbon time)"
    assert when(At(moment=noon, zone="America/Los_Angeles"), "en") == "Wed 1 Jul 2026, 05:00 (Los Angeles time)"
    assert when(At(moment=noon, zone="Asia/Tokyo"), "ja") == "2026年7月1日(水)21:00(現地時間 Asia/Tokyo)"
    assert clock(At(moment=noon, zone="UTC")) == "12:00"


def test_money_has_the_decimals_of_its_currency() -> None:
    def shown(amount_minor: int, currency: str) -> str:
        return money(Money(amount_minor=amount_minor, currency=currency), "en")

    assert shown(123_450, "EUR") == "€1,234.50"
    assert shown(123_450, "JPY") == "¥123,450"
    assert shown(123_450, "KWD") == "123.450 KWD"
    assert shown(-2_150, "GBP") == "-£21.50"
    assert length(85, "en") == "1 h 25 min"
    assert length(120, "ja") == "2時間"


def test_the_preview_lists_every_notice(tmp_path: Path) -> None:
    index = write_preview(tmp_path / "out", LANGUAGES, KINDS).read_text()
    for link in re.findall(r'href="([^"]+)"', index):
        assert (tmp_path / "out" / link).read_text()
    assert index.count("href=") == len(LANGUAGES) * len(KINDS) * 6
