"""Times, days and amounts as people of each language write them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from schema.model import Message
from schema.money import Money, exponent_of
from schema.notifications import Language
from schema.zones import zone

_DAYS: Final[Mapping[Language, str]] = {"en": "Mon Tue Wed Thu Fri Sat Sun", "ja": "月 火 水 木 金 土 日"}
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_SYMBOLS: Final = {"EUR": "€", "GBP": "£", "USD": "US$", "JPY": "¥", "AUD": "A$", "CAD": "C$"}
"""Of other currencies the code is written; so is it where a symbol could be another's."""


class At(Message):
    """A moment at a place."""

    moment: datetime
    zone: str
    """IANA name."""


def local(at: At) -> datetime:
    return at.moment.astimezone(zone(at.zone))


def day(at: At, language: Language) -> str:
    """Thu 3 Dec 2026; 2026年12月3日(木)."""
    when = local(at)
    name = _DAYS[language].split()[when.weekday()]
    if language == "ja":
        return f"{when.year}年{when.month}月{when.day}日({name})"
    return f"{name} {when.day} {_MONTHS[when.month - 1]} {when.year}"


def clock(at: At) -> str:
    """14:05, by the clock of the place."""
    return f"{local(at):%H:%M}"


def place_of_clock(at: At, language: Language) -> str:
    """Lisbon time; 現地時間 Europe/Lisbon."""
    if language == "ja":
        return f"現地時間 {at.zone}"
    return "UTC" if at.zone == "UTC" else f"{at.zone.rpartition('/')[2].replace('_', ' ')} time"


def when(at: At, language: Language) -> str:
    """Day, time and whose clock it is."""
    if language == "ja":
        return f"{day(at, language)}{clock(at)}({place_of_clock(at, language)})"
    return f"{day(at, language)}, {clock(at)} ({place_of_clock(at, language)})"


def short(at: At, language: Language) -> str:
    """For an SMS: 3 Dec 14:05; 12/3 14:05."""
    shown = local(at)
    if language == "ja":
        return f"{shown.month}/{shown.day} {clock(at)}"
    return f"{shown.day} {_MONTHS[shown.month - 1]} {clock(at)}"


def money(amount: Money, language: Language) -> str:
    """€1,234.50; JPY has no decimals, KWD has three; 1,234.50ユーロ is written €1,234.50 in Japanese too."""
    del language  # both group by threes, with a point before the decimals
    places = exponent_of(amount.currency)
    digits = f"{abs(amount.amount_minor) / 10**places:,.{places}f}"
    sign = "-" if amount.amount_minor < 0 else ""
    symbol = _SYMBOLS.get(amount.currency)
    return f"{sign}{digits} {amount.currency}" if symbol is None else f"{sign}{symbol}{digits}"


def length(minutes: int, language: Language) -> str:
    """1 h 25 min; 1時間25分."""
    hours, rest = divmod(abs(minutes), 60)
    units = ("時間", "分") if language == "ja" else (" h", " min")
    parts = [f"{number}{unit}" for number, unit in zip((hours, rest), units, strict=True) if number]
    return ("" if language == "ja" else " ").join(parts) or f"0{units[1]}"
