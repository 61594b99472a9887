"""The SQLite storage's ledger of conversions, in the history file."""

from __future__ import annotations

from msgspec import convert
from msgspec.structs import asdict

from alias_middleware.storage.conversions import Conversion, Conversions
from alias_middleware.storage.sqlite.files import Files
from alias_middleware.storage.sqlite.transactions import reading, writing

_FIELDS = Conversion.__struct_fields__
_COLUMNS = ", ".join(_FIELDS)


class SQLiteConversions(Conversions):
    """The quota and the audit in one table."""

    def __init__(self, files: Files) -> None:
        """Use the storage's files."""
        self._files = files

    def spend(self, conversion: Conversion, limit: int) -> int | None:
        """Take one conversion from the month's quota; the transaction lets nobody else count meanwhile."""
        with writing(self._files) as sql:
            asked = (conversion.scope, conversion.month)
            (spent,) = sql.execute(
                "SELECT count(*) FROM conversions WHERE scope = ? AND month = ? AND NOT given_back", asked
            ).fetchone()
            known = sql.execute("SELECT given_back FROM conversions WHERE id = ?", (conversion.id,)).fetchone()
            if known is not None:
                return None if known[0] else max(limit - int(spent), 0)
            if spent >= limit:
                return None
            marks = ", ".join(f":{field}" for field in _FIELDS)
            sql.execute(f"INSERT INTO conversions ({_COLUMNS}) VALUES ({marks})", asdict(conversion))
            return limit - int(spent) - 1

    def give_back(self, conversion_id: int) -> None:
        """Return a conversion that failed."""
        with writing(self._files) as sql:
            sql.execute("UPDATE conversions SET given_back = 1 WHERE id = ?", (conversion_id,))

    def conversions(self, scope: str, month: str) -> list[Conversion]:
        """Give a month's conversions."""
        with reading(self._files) as sql:
            rows = sql.execute(
                f"SELECT {_COLUMNS} FROM conversions WHERE scope = ? AND month = ? ORDER BY time_us, id",
                (scope, month),
            ).fetchall()
        return [convert(dict(zip(_FIELDS, row, strict=True)), Conversion, strict=False) for row in rows]
