"""Picking fields out of a vendor's JSON: only what we use is checked, what we do not know is let through."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeGuard

from gateways.ports import SupplierState
from schema.errors import InvariantBroken, VendorContractBroken
from schema.money import Money


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Whether a parsed JSON value is an object; its keys are strings then."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Whether a parsed JSON value is an array."""
    return isinstance(value, list)


class Fields:
    """A JSON object of a vendor. Every getter raises VendorContractBroken when the contract's promise is not kept."""

    __slots__ = ("values", "vendor", "what")

    def __init__(self, vendor: str, what: str, values: Mapping[str, object]) -> None:
        self.vendor = vendor
        self.what = what
        self.values = values

    @classmethod
    def of(cls, vendor: str, what: str, value: object) -> "Fields":
        """A parsed JSON value that must be an object."""
        if not is_object(value):
            raise VendorContractBroken(f"{vendor}: {what} is not an object")
        return cls(vendor, what, value)

    def text(self, name: str) -> str:
        """A string that is not empty."""
        value = self.values.get(name)
        if not isinstance(value, str) or not value:
            raise self.broken(name)
        return value

    def text_or_none(self, name: str) -> str | None:
        """A string, or None if the field is absent, null, empty or of another type."""
        value = self.values.get(name)
        return value if isinstance(value, str) and value else None

    def flag(self, name: str) -> bool:
        """Whether the field is there and true."""
        return self.values.get(name) is True

    def whole(self, name: str) -> int:
        """An integer."""
        value = self.values.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.broken(name)
        return value

    def whole_or_none(self, name: str) -> int | None:
        """An integer, or None if the field is absent, null or of another type."""
        value = self.values.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def decimal(self, name: str) -> Decimal:
        """A decimal number, sent as a string or as a number."""
        value = self.decimal_or_none(name)
        if value is None:
            raise self.broken(name)
        return value

    def decimal_or_none(self, name: str) -> Decimal | None:
        """A decimal number, sent as a string ("30.5", "30%") or as a number; None if it is absent, null or not a number."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        try:
            number = Decimal(str(value).strip().removesuffix("%"))
        except InvalidOperation:
            return None
        return number if number.is_finite() else None

    def money(self, amount: str, currency: str) -> Money:
        """An amount from two fields: the decimal string and the currency's code."""
        value = self.values.get(amount)
        text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
        try:
            return Money.parse(text, self.text(currency))
        except ValueError as error:
            raise self.broken(amount) from error

    def money_or_none(self, amount: str, currency: str) -> Money | None:
        """An amount from two fields, or None if either is absent or null."""
        if self.values.get(amount) is None or self.values.get(currency) is None:
            return None
        return self.money(amount, currency)

    def moment(self, name: str) -> datetime:
        """A time with an offset; one without is taken as UTC."""
        value = self.moment_or_none(name)
        if value is None:
            raise self.broken(name)
        return value

    def moment_or_none(self, name: str) -> datetime | None:
        """A time with an offset (UTC if it has none), or None if the field is absent, null or not a time."""
        value = self._time(name)
        return value.replace(tzinfo=value.tzinfo or UTC) if value else None

    def local_time(self, name: str) -> datetime:
        """A time as a ticket prints it, without an offset."""
        value = self._time(name)
        if value is None:
            raise self.broken(name)
        return value.replace(tzinfo=None)

    def day(self, name: str) -> date:
        """A date without a time."""
        try:
            return date.fromisoformat(self.text(name))
        except ValueError as error:
            raise self.broken(name) from error

    def object(self, name: str) -> "Fields":
        """A nested object."""
        value = self.values.get(name)
        if not is_object(value):
            raise self.broken(name)
        return Fields(self.vendor, f"{self.what}.{name}", value)

    def object_or_none(self, name: str) -> "Fields | None":
        """A nested object, or None if the field is absent, null or of another type."""
        value = self.values.get(name)
        return Fields(self.vendor, f"{self.what}.{name}", value) if is_object(value) else None

    def objects(self, name: str) -> list["Fields"]:
        """A list of objects; raises if it is absent."""
        value = self.values.get(name)
        if not is_list(value):
            raise self.broken(name)
        return [Fields.of(self.vendor, f"{self.what}.{name}", item) for item in value]

    def objects_or_none(self, name: str) -> list["Fields"] | None:
        """A list of objects, or None if it is absent or null."""
        return None if self.values.get(name) is None else self.objects(name)

    def mapped(self, name: str) -> dict[str, "Fields"]:
        """A map of objects, such as Rapid's prices by occupancy; empty if it is absent."""
        nested = self.object_or_none(name)
        if nested is None:
            return {}
        return {key: Fields.of(self.vendor, f"{nested.what}.{key}", value) for key, value in nested.values.items()}

    def texts(self, name: str) -> list[str]:
        """The strings of a list; empty if it is absent."""
        value = self.values.get(name)
        return [item for item in value if isinstance(item, str)] if is_list(value) else []

    def broken(self, name: str) -> VendorContractBroken:
        """The error to raise about a field; it never shows the value, which may be personal."""
        return VendorContractBroken(f"{self.vendor}: {self.what} has no usable {name}")

    def _time(self, name: str) -> datetime | None:
        value = self.values.get(name)
        if not isinstance(value, str):
            return None
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None


def kept_text(state: SupplierState, name: str) -> str | None:
    """A string of a stored supplier state, or None."""
    value = state.get(name)
    return value if isinstance(value, str) and value else None


def required_text(state: SupplierState, name: str) -> str:
    """A string that an earlier step must have stored; raises InvariantBroken, because its absence is our own fault."""
    value = kept_text(state, name)
    if value is None:
        raise InvariantBroken(f"the stored supplier state has no {name}")
    return value


def kept_texts(state: SupplierState, name: str) -> list[str]:
    """A list of strings of a stored supplier state; raises InvariantBroken if it is not one."""
    value = state.get(name)
    if not is_list(value) or not all(isinstance(item, str) for item in value):
        raise InvariantBroken(f"the stored supplier state has no list {name}")
    return [str(item) for item in value]
