"""`postgresql://...`: profiles and history in a PostgreSQL server, for any number of machines.

Every call has a deadline of this side, so that a server that is silent holds up nobody for longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from alias_middleware.errors import MissingExtra, SettingsError
from alias_middleware.events import Event
from alias_middleware.history import Knowledge
from alias_middleware.identity import stored_part
from alias_middleware.interests import Sums
from alias_middleware.profile import ProfileChange, StoredProfile
from alias_middleware.rollups.model import Days
from alias_middleware.storage.base import (
    Abilities,
    Answer,
    Batch,
    Difference,
    Ledger,
    Outcome,
    Question,
    Scope,
    Storage,
)
from alias_middleware.storage.clientele import Clientele
from alias_middleware.storage.erasure_log import ErasureLog
from alias_middleware.storage.keyring import TOMBSTONE, Keyring
from alias_middleware.storage.outbox import Suppression

try:
    from alias_middleware.storage.postgresql import (
        answers,
        batches,
        citus,
        erasure,
        preferences,
        questions,
        schema,
        suppressions,
        tastes,
        verify,
    )
    from alias_middleware.storage.postgresql.address import parse
    from alias_middleware.storage.postgresql.conversions import PostgreSQLConversions
    from alias_middleware.storage.postgresql.custody import PostgreSQLCustody, note
    from alias_middleware.storage.postgresql.moving import PostgreSQLMoving
    from alias_middleware.storage.postgresql.outbox import PostgreSQLOutbox
    from alias_middleware.storage.postgresql.pool import Connection, Pool
    from alias_middleware.storage.postgresql.pseudonyms import PostgreSQLPseudonyms
    from alias_middleware.storage.postgresql.replacement import Sweep
except ImportError as error:  # pragma: no cover - the bare install is another environment
    raise MissingExtra(extra="postgresql", setting="storage") from error

_READ_SECONDS = 1.0
_CHANGE_SECONDS = 10.0
_QUESTION_SECONDS = 60.0
_BATCH_SECONDS = 60.0
_VERIFY_SECONDS = 24 * 3600.0

_READ = "SELECT preferences, personal, consents FROM profiles WHERE namespace = %s AND key = %s"
_KNOW = "SELECT knowledge, habits FROM visitors WHERE namespace = %s AND key = %s"
_STRANGER = StoredProfile()


class PostgreSQLStorage(Storage):
    """Profiles and history in one schema of a PostgreSQL database."""

    abilities = Abilities(reads_block=True, shared=True, replaces=True)

    def __init__(self, url: str, *, secret_keys: Sequence[bytes] = (), create_schema: bool | None = None) -> None:
        """Use the database of `url`. Nothing is connected yet.

        Besides libpq's own parameters the URL takes `schema` (alias_middleware), `create_schema` (true),
        `max_connections` (8, of each process) and `erasure_log` (none), a file in which erasures are noted for
        the day on which the server is restored from a backup. With `create_schema=False` the tables are made by
        `alias-middleware migrate`, or by migrations of your own.

        Raises:
            SettingsError: the URL is no use, or there are no `secret_keys`.
        """
        address = parse(url)
        if not secret_keys:
            raise SettingsError(
                "a server remembers who was erased under your own keys: make one with `alias-middleware keys`",
                setting="secret_keys",
            )
        self.schema = address.schema
        self._create_schema = address.create_schema if create_schema is None else create_schema
        self._keyring = Keyring(secret_keys)
        self._hashes = batches.hashes_of(self._keyring)
        self._keep_lasting = batches.lasting_of(self._keyring)
        self._log = ErasureLog(address.erasure_log) if address.erasure_log else None
        self._pool = Pool(address, self._prepare)

    def _prepare(self, connection: Connection) -> None:
        schema.require(connection, self.schema, create=self._create_schema)
        erasure.check_keys(connection, self._keyring)

    def migrate(self, *, distributed: bool = False) -> int:
        """Bring the schema up to date, and spread it over a Citus cluster if asked; give the steps taken.

        Raises:
            StorageUnavailable: the server does not let us.
        """
        with self._pool.unprepared(float("inf")) as connection:
            steps = schema.migrate(connection, self.schema)
            if distributed:
                citus.distribute(connection)
            return steps

    def ddl(self, *, distributed: bool = False) -> Iterator[str]:
        """Give every statement that makes an up-to-date schema from nothing."""
        return schema.ddl(self.schema, distributed=distributed)

    def read_profile(self, namespace: str, key: str) -> StoredProfile:
        """Give a visitor's documents, in one round trip."""
        row = self._pool.row(_READ, (namespace, stored_part(key)), _READ_SECONDS)
        return _STRANGER if row is None else StoredProfile(*row)

    def read_knowledge(self, namespace: str, key: str) -> bytes:
        """Give what is derived from a visitor's history, in one round trip."""
        row = self._pool.row(_KNOW, (namespace, stored_part(key)), _READ_SECONDS)
        return b"[]" if row is None else b"%b\n%b" % row

    def change_profile(self, namespace: str, change: ProfileChange, *, timeout: float) -> int:
        """Carry out operations on the visitor's locked row.

        Where the answer to the commit is lost, the operations may come again as late changes: they are known by
        what they are, and not carried out twice.
        """
        with self._pool.connection(timeout) as connection:
            return preferences.change(connection, namespace, change, self._hashes, self._keep_lasting)

    def apply(self, batch: Batch) -> Outcome:
        """Take over a batch in one transaction."""
        with self._pool.connection(_BATCH_SECONDS) as connection:
            return batches.apply(connection, batch, self._keyring)

    def ledger(self) -> Ledger:
        """Give counters and positions of one moment."""
        with self._pool.connection(_READ_SECONDS) as connection:
            return questions.ledger(connection)

    def history(self, namespace: str, key: str, limit: int, *, before_us: int | None = None) -> list[Event]:
        """Give a visitor's latest events, newest first."""
        with self._pool.connection(_QUESTION_SECONDS) as connection:
            return questions.history(connection, namespace, stored_part(key), limit, before_us)

    def category_sums(self, namespace: str) -> Mapping[str, Sums]:
        """Give everybody's sums in a namespace."""
        with self._pool.connection(_READ_SECONDS) as connection:
            return tastes.read(connection, namespace)

    def live_since(self, service: str) -> int | None:
        """Give the time of a service's first live page view."""
        with self._pool.connection(_READ_SECONDS) as connection:
            return tastes.live_since(connection, service)

    def replace_live(self, service: str, since_us: int, until_us: int) -> int:
        """Sweep live page views out, in short transactions."""
        with self._pool.connection(_VERIFY_SECONDS) as connection:
            return Sweep(connection, service, (since_us, until_us)).carry_out()

    def rollups(self, asked: Sequence[Question]) -> list[Answer]:
        """Roll up as of one moment; days that have not changed since the last question are not read again."""
        with self._pool.connection(_QUESTION_SECONDS) as connection:
            return answers.answer(connection, asked)

    def stale(self) -> Sequence[tuple[Scope, Days]]:
        """Give the days that have changed since they were rolled up."""
        with self._pool.connection(_QUESTION_SECONDS) as connection:
            return answers.stale(connection)

    def mark(self, scope: Scope) -> bytes:
        """Give a digest of the marks of the scope's days, and of the erasures."""
        with self._pool.connection(_QUESTION_SECONDS) as connection:
            return questions.mark(connection, questions.services(connection, scope))

    def span(self, scope: Scope) -> Days | None:
        """Give the days in which something was recorded; all of a day may have been erased since."""
        with self._pool.connection(_QUESTION_SECONDS) as connection:
            return questions.span(connection, questions.services(connection, scope))

    def verify(self, since: int, until: int) -> list[Difference]:
        """Compare roll-ups, visitors' rows, arrivals and category sums with the raw events, as of one moment."""
        with self._pool.connection(_VERIFY_SECONDS) as connection:
            return verify.verify(connection, since, until)

    def clientele(self, page: Clientele) -> list[tuple[str, Knowledge]]:
        """Give a page of visitors with their knowledge."""
        with self._pool.connection(_QUESTION_SECONDS) as connection:
            return questions.clientele(connection, page)

    def erase(self, namespace: str, key: str, time_us: int) -> dict[str, int]:
        """Erase a visitor in one transaction, noted in the log of erasures before."""
        if self._log is not None:
            note(self._log, self._keyring, namespace, key, time_us)
        return self._erase(namespace, key, time_us)

    def _erase(self, namespace: str, key: str, time_us: int) -> dict[str, int]:
        with self._pool.connection(_BATCH_SECONDS) as connection:
            return erasure.erase(connection, namespace, key, self._keyring, time_us)

    def erased_at(self, namespace: str, key: str) -> int | None:
        """Give the time of a visitor's latest erasure."""
        with self._pool.connection(_READ_SECONDS) as connection:
            return erasure.erased_at(connection, namespace, self._keyring.every(TOMBSTONE, namespace, key))

    def suppress(self, namespace: str, key: str, suppression: Suppression) -> None:
        """Keep a suppression under the visitor's keyed hash."""
        with self._pool.connection(_CHANGE_SECONDS) as connection:
            suppressions.keep(connection, self._keyring, namespace, key, suppression)

    def suppressions(self, namespace: str, key: str) -> list[Suppression]:
        """Give a visitor's suppressions by scope, the latest of each, under whichever key it was written."""
        with self._pool.connection(_READ_SECONDS) as connection:
            return suppressions.ask(connection, self._keyring, namespace, [key], {key: key}).answer().get(key, [])

    def outbox(self) -> PostgreSQLOutbox:
        """Give the campaigns and their messages."""
        return PostgreSQLOutbox(self._pool, self._keyring)

    def custody(self) -> PostgreSQLCustody:
        """Give retention, the replay of erasures and the audit."""
        return PostgreSQLCustody(self._pool, self._keyring, self._log, self._erase)

    def conversions(self) -> PostgreSQLConversions:
        """Give the ledger of conversions to numbers."""
        return PostgreSQLConversions(self._pool)

    def moving(self) -> PostgreSQLMoving:
        """Give the verbs for moving all there is."""
        return PostgreSQLMoving(self._pool, self._keyring)

    def pseudonyms(self) -> PostgreSQLPseudonyms:
        """Give what knows the pseudonym keys again and rotates them."""
        return PostgreSQLPseudonyms(self._pool, self._keyring)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.close()
