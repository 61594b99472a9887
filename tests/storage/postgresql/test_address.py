"""What a `postgresql://` URL says, and how it is refused without showing it."""

from __future__ import annotations

import pytest

from alias_middleware.errors import SettingsError
from alias_middleware.storage.postgresql import PostgreSQLStorage
from alias_middleware.storage.postgresql.address import parse

SECRET = (b"a key of this site",)


def test_libpqs_words_and_ours() -> None:
    """Ours are taken out, libpq's are passed on, and what finds a dead peer soon is added unless it is said."""
    address = parse("postgresql://u:p@h:5433/d?schema=alias&create_schema=no&max_connections=3&connect_timeout=7")
    given = {name: address.parameters[name] for name in ("user", "password", "host", "port", "dbname")}
    assert given == {"user": "u", "password": "p", "host": "h", "port": "5433", "dbname": "d"}
    assert (address.schema, address.create_schema, address.max_connections) == ("alias", False, 3)
    assert address.parameters["connect_timeout"] == "7"
    assert "search_path=alias" in address.parameters["options"]


def test_a_word_with_a_space() -> None:
    """Options of a server's own are passed on beside ours as libpq understands them."""
    address = parse("postgresql://h/d?options=-c%20work_mem%3D8MB%20-c+jit%3Doff")
    assert address.parameters["options"].endswith(" -c work_mem=8MB -c jit=off")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param("schema=Alias", "schema=", id="a schema with a capital"),
        pytest.param("schema=a;drop", "schema=", id="a schema that is no name"),
        pytest.param("create_schema=perhaps", "create_schema=", id="neither true nor false"),
        pytest.param("max_connections=1", "max_connections=", id="too few connections"),
        pytest.param("max_connections=many", "max_connections=", id="connections that are no number"),
        pytest.param("sslmood=require", "libpq does not understand", id="a word that nobody knows"),
    ],
)
def test_a_url_of_no_use(query: str, message: str) -> None:
    """The error says what to write, and never the password."""
    with pytest.raises(SettingsError, match=message) as raised:
        PostgreSQLStorage(f"postgresql://u:hidden@h/d?{query}", secret_keys=SECRET)
    assert raised.value.setting == "storage"
    assert "hidden" not in str(raised.value)


def test_secret_keys_are_required() -> None:
    """Whoever was erased is remembered under the site's own keys; the error names the command that makes one."""
    with pytest.raises(SettingsError, match="alias-middleware keys") as raised:
        PostgreSQLStorage("postgresql://h/d")
    assert raised.value.setting == "secret_keys"
