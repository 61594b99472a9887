from __future__ import annotations

from typing import NoReturn

import pytest
from starlette.testclient import TestClient

from alias_middleware.dashboard.drawing import Drawer
from alias_middleware.errors import SettingsError
from alias_middleware.storage.memory import MemoryStorage
from tests.dashboard.audience import ALIAS, make_client, make_tracker, sign_in, token_in


class WithoutCampaigns(MemoryStorage):
    """A third party's storage that keeps no campaigns."""

    def outbox(self) -> NoReturn:
        raise SettingsError("this storage keeps no campaigns", setting="storage")


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/nowhere", id="no page"),
        pytest.param("/table/aliases.csv", id="no table"),
        pytest.param("/static/..%2Fapp.py", id="a file that is not for readers"),
        pytest.param("/static/words.py", id="a style there is not"),
    ],
)
def test_what_there_is_not(reader: TestClient, path: str) -> None:
    """It is said on a page, in the reader's language."""
    answer = reader.get(path, headers={"Accept-Language": "fr"})
    assert (answer.status_code, "Cette page n'existe pas." in answer.text.replace("&#39;", "'")) == (404, True)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/visitor/forged", id="a forged visitor"),
        pytest.param("/visitors?after=forged", id="a forged cursor"),
        pytest.param("/visitors?order=alias", id="no order"),
        pytest.param("/?service=other", id="a service that is not shown"),
    ],
)
def test_what_is_forged(reader: TestClient, path: str) -> None:
    """Whatever a URL says that was not given out, is refused, and not repeated."""
    answer = reader.get(path, headers={"Accept-Language": "fr"})
    assert (answer.status_code, "Cela ne peut" in answer.text) == (400, True)
    assert "forged" not in answer.text


@pytest.mark.parametrize("query", ["skip=-1", "skip=x", "offer=none&sender=36123", "offer=light_pull&sender="])
def test_what_makes_no_sense_of_a_visitor(reader: TestClient, query: str) -> None:
    """A page of his history before the first, and a message that cannot be, are refused."""
    token = token_in(reader.get("/").text)
    page = reader.post("/visitors", data={"token": token, "alias": ALIAS}).headers["location"]
    assert reader.get(f"{page}?{query}").status_code == 400


def test_no_such_language(reader: TestClient) -> None:
    """A form of ours with another value in it is refused."""
    token = token_in(reader.get("/").text)
    assert reader.post("/language", data={"token": token, "language": "tlh"}).status_code == 400


def test_a_storage_without_campaigns(drawer: Drawer) -> None:
    """Where none are kept the menu has none, a visitor is not judged, and their pages are not there."""
    tracker = make_tracker(storage=WithoutCampaigns())
    with make_client(tracker, drawer) as client:
        sign_in(client)
        page = client.get("/").text
        assert ("/health" in page, "/campaigns" in page) == (True, False)
        assert [client.get(path).status_code for path in ("/campaigns", "/campaigns.csv")] == [404, 404]
        form = {"token": token_in(page), "alias": ALIAS}
        visitor = client.get(client.post("/visitors", data=form).headers["location"])
        assert (visitor.status_code, "contact-title" in visitor.text) == (200, False)
    tracker.close()
