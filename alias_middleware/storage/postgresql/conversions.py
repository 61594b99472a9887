"""The ledger of conversions in PostgreSQL: whoever spends from a month's quota waits for who spends before him."""

from __future__ import annotations

from msgspec.structs import astuple

from alias_middleware.storage.conversions import Conversion, Conversions
from alias_middleware.storage.postgresql import locks
from alias_middleware.storage.postgresql.pool import Pool

_SECONDS = 10.0
_FIELDS = Conversion.__struct_fields__
_COLUMNS = ", ".join(_FIELDS)
_SPENT = "SELECT count(*) FROM conversions WHERE scope = %s AND month = %s AND NOT given_back"
_KNOWN = "SELECT given_back FROM conversions WHERE id = %s"
_TAKE = f"INSERT INTO conversions ({_COLUMNS}) VALUES ({', '.join(['%s'] * len(_FIELDS))})"
_GIVE_BACK = "UPDATE conversions SET given_back = true WHERE id = %s"
_OF_MONTH = f"SELECT {_COLUMNS} FROM conversions WHERE scope = %s AND month = %s ORDER BY time_us, id"


class PostgreSQLConversions(Conversions):
    """The quota and the audit in one table."""

    def __init__(self, pool: Pool) -> None:
        """Use the storage's connections."""
        self._pool = pool

    def spend(self, conversion: Conversion, limit: int) -> int | None:
        """Take one conversion from the month's quota; nobody else counts meanwhile, on whichever machine."""
        asked = (conversion.scope, conversion.month)
        with self._pool.connection(_SECONDS) as connection:
            with connection.pipeline():
                connection.execute("BEGIN")
                connection.execute(locks.QUOTA.encode(), asked)
                counted = connection.execute(_SPENT, asked)
                known = connection.execute(_KNOWN, (conversion.id,))
            (spent,), before = counted.fetchone() or (0,), known.fetchone()
            is_new = before is None and spent < limit
            with connection.pipeline():
                if is_new:
                    connection.execute(_TAKE, astuple(conversion))
                connection.execute("COMMIT")
        return max(limit - int(spent) - is_new, 0) if is_new or before == (False,) else None

    def give_back(self, conversion_id: int) -> None:
        """Return a conversion that failed."""
        with self._pool.connection(_SECONDS) as connection:
            connection.execute(_GIVE_BACK, (conversion_id,))

    def conversions(self, scope: str, month: str) -> list[Conversion]:
        """Give a month's conversions."""
        with self._pool.connection(_SECONDS) as connection:
            rows = connection.execute(_OF_MONTH, (scope, month)).fetchall()
        return [Conversion(**dict(zip(_FIELDS, row, strict=True))) for row in rows]
