"""An operator's SMSC for tests: a gateway dials in, both speak UCP by our codec, and all that is said is kept."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import msgspec

from alias_middleware.smsplus import ucp
from tests.support.waiting import PATIENCE, wait_until

_OPENED = datetime(2026, 4, 1, 12, tzinfo=UTC)


class Smsc:
    """One account with its password; whoever logs in as it is the session that messages are delivered to."""

    def __init__(self, account: str, password: str) -> None:
        self._login = account, password
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.questions: list[ucp.Message] = []
        self.answers: list[ucp.Message] = []
        self.refusals: list[ucp.UcpError] = []
        self.sessions = 0
        self.rejects: Callable[[ucp.Message], ucp.ErrorCode | None] = lambda question: None
        self._session: socket.socket | None = None
        self._clock = _OPENED
        self._trn = 0
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="smsc")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.hang_up()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)

    def hang_up(self) -> None:
        """Break the connection, as a restarted SMSC does."""
        with suppress(OSError):  # the gateway has left by itself
            if (session := self._session) is not None:
                session.shutdown(socket.SHUT_RDWR)

    def asked(self, operation: ucp.Operation) -> list[ucp.Message]:
        """What the gateway asked for of one kind, in order."""
        return [question for question in self.questions if question.operation is operation]

    def submitted(self, count: int) -> list[ucp.Message]:
        """Wait until so many messages in all were submitted, and give them."""
        wait_until(lambda: len(self.asked(ucp.Operation.SUBMIT)) >= count, f"{count} messages are submitted")
        return self.asked(ucp.Operation.SUBMIT)

    def deliver(self, *messages: ucp.Message) -> list[ucp.Message]:
        """Bring messages to the gateway, one after the other, and give its answers."""
        wait_until(lambda: self._session is not None, "somebody has logged in")
        return [self._ask(message) for message in messages]

    def report(self, submitted: ucp.Message, *, status: int, text: str = "") -> ucp.Message:
        """Tell the gateway what became of a message it submitted, and give its answer."""
        taken = self.taken_at(submitted)
        told = ucp.notify(
            adc=submitted.oadc, oadc=submitted.adc, submitted_at=taken, at=self._tick(), status=status, text=text
        )
        return self.deliver(told)[0]

    def taken_at(self, submitted: ucp.Message) -> datetime:
        """When a message was taken: each at a second of its own, for a notification finds it by that."""
        return _OPENED + timedelta(seconds=1 + self.asked(ucp.Operation.SUBMIT).index(submitted))

    def _ask(self, message: ucp.Message) -> ucp.Message:
        with self._sending:
            self._trn = (self._trn + 1) % 100
            trn, known = self._trn, len(self.answers)
            self._send(msgspec.structs.replace(message, trn=trn))
        answered: list[ucp.Message] = []

        def arrived() -> bool:
            answered[:] = [answer for answer in self.answers[known:] if answer.trn == trn]
            return bool(answered)

        wait_until(arrived, "the gateway answers")
        return answered[0]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            with connection, suppress(OSError):  # the gateway may go while it is answered
                self._talk(connection)
            self._session = None

    def _talk(self, connection: socket.socket) -> None:
        stream = b""
        while received := _received(connection):
            frames, stream = ucp.cut(stream + received)
            for frame in frames:
                self._hear(connection, frame)

    def _hear(self, connection: socket.socket, frame: bytes) -> None:
        try:
            message = ucp.parse(frame)
        except ucp.UcpError as error:
            self.refusals.append(error)
            if refusal := ucp.refuse_frame(error):
                connection.sendall(refusal)
            return
        if message.is_response:
            self.answers.append(message)
            return
        self.questions.append(message)
        with self._sending:
            connection.sendall(ucp.encode(self._answer(message)))
        if message.operation is ucp.Operation.LOGIN and self._knows(message):
            self._session = connection
            self.sessions += 1

    def _answer(self, question: ucp.Message) -> ucp.Message:
        if (code := self.rejects(question)) is not None:
            return ucp.refuse(question, code)
        match question.operation:
            case ucp.Operation.LOGIN if not self._knows(question):
                return ucp.refuse(question, ucp.ErrorCode.AUTHENTICATION)
            case ucp.Operation.LOGIN | ucp.Operation.ALERT:
                return ucp.accept(question, sm="")
            case ucp.Operation.SUBMIT:
                return ucp.accept(question, sm=f"{question.adc}:{self.taken_at(question):%d%m%y%H%M%S}")
            case _:
                return ucp.refuse(question, ucp.ErrorCode.NOT_ALLOWED)

    def _knows(self, login: ucp.Message) -> bool:
        return (login.oadc, login.password) == self._login

    def _send(self, message: ucp.Message) -> None:
        assert self._session is not None
        self._session.sendall(ucp.encode(message))

    def _tick(self) -> datetime:
        self._clock += timedelta(seconds=1)
        return self._clock


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


@contextmanager
def running_smsc(account: str, password: str) -> Iterator[Smsc]:
    """An SMSC on a free port until the end of the block."""
    smsc = Smsc(account, password)
    smsc.start()
    try:
        yield smsc
    finally:
        smsc.stop()
