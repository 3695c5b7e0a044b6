"""The ZeroMQ shell around the hub: one thread, one Poller, one turn after the other.

poll -> drain what has arrived (bounded) -> hub plans -> store commits -> hub answers -> publish -> reply
"""

from __future__ import annotations

import errno
import logging
import secrets
import select
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import zmq

from zchat import codec, errors
from zchat.broker import limits
from zchat.broker.admission import Answer, Door
from zchat.broker.connections import Connection, Connections, cut
from zchat.broker.effects import Effects, Lookup
from zchat.broker.entrance import Entrance
from zchat.broker.hub import Hub
from zchat.broker.inflow import Inflow
from zchat.broker.inputs import FenceMoved, Gone, Input, Met, Now, Received
from zchat.broker.metrics import Counts, Standing
from zchat.broker.pace import CROWD, Pace
from zchat.broker.ports import Port
from zchat.broker.settings import Settings
from zchat.broker.sockets import Sockets, monitored
from zchat.broker.subscribers import Subscribers
from zchat.broker.zap import REQUESTS
from zchat.messages import Event, Failed, Message, Reply, Request
from zchat.store import apart
from zchat.store.base import Greeted, Quotas, Store, Work
from zchat.text import printable
from zchat.verbs import AUDIT

DRAIN = 1024 * 1024
"""Bytes taken from one socket in one turn, or little more: the others' turn comes too."""

FRAME_COST = 256
"""Bytes that a frame counts for beside its own."""

TOPIC = 80
"""Bytes of topics that a connection may subscribe to, for each room that it may follow. libzmq needs some 50 times
as much memory.
"""

SHARED = 1024
"""Bytes from which on it is less work to have a frame kept once for all to whom it goes than to copy it for each."""

LOOK = 0.25
"""Seconds between two looks at connections which nobody vouches for, and at what came without having been shown."""

GLANCE = 0.005
"""Seconds between two looks at whether the process grows, while there are connections which nobody vouches for."""

TIDY_AGAIN = 5.0
"""Seconds until the store is asked again to tidy up what it could not."""

AUDIT_SIZE = 1 << 20
"""Bytes of the audit log that the operator is shown at a time."""

# As plain numbers: combining flags takes longer than sending.
_NOBLOCK, _MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)

log = logging.getLogger("zchat.broker")

Watcher = Callable[[], list[Input]]


class Server:
    """A broker on sockets that are bound.

    Args:
        settings: of the hub; the PUB port must be the one that is bound.
        store: what keeps the rooms; the server closes it.
        sockets: the bound pair; the server closes it.
        said: called with room and message for everything said in public; None for nothing.
        entrance: to whom it is open, if the sockets speak CURVE; else None.
        console: takes lines for the operator, which it must make harmless.

    Attributes:
        counts: what happened so far.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        sockets: Sockets,
        said: Callable[[str, Message], None] | None = None,
        entrance: Entrance | None = None,
        console: Callable[[list[str]], None] | None = None,
    ) -> None:
        door = None if entrance is None else entrance.door
        fresh = tuple if entrance is None else entrance.take
        self.hub = Hub(settings, store.rooms(), store.names(), secrets.token_bytes, door, store.records(), fresh)
        self.counts = Counts()
        self._store = store
        self._storing, self._probe_at = True, 0.0
        store.quotas = _quotas(settings)
        self._sockets = sockets
        self._said = said
        self._entrance = entrance
        self._console = console
        self._connections = Connections()
        self._subscribers = Subscribers(TOPIC * settings.max_rooms_joined, 2 * settings.max_sessions_person)
        self._requests_port = Port(settings, self._has_session)
        self._rooms_port = Port(settings, self._has_fence)
        self._inflow = Inflow(settings.credit * settings.text_limit + DRAIN)
        self._look_at = self._glance_at = 0.0
        self._looks: list[Callable[[], None]] = []
        self._watched: dict[int, Watcher] = {}
        self._urgent = select.poll()  # what is watched, and nothing else
        self._given: deque[Input] = deque()
        self._pace = Pace()
        self._tidy_at = 0.0  # when the store has something to do if nobody else has
        self._poller = zmq.Poller()
        for one in (sockets.router, sockets.xpub):
            self._poller.register(one, zmq.POLLIN)
        # A socket costs a poller several system calls, a descriptor none. It tells only once of what came to a socket:
        # that is enough for those which are read to their end each time, and to which nothing is sent.
        self._monitors = {int(one.get(zmq.FD)) for one in (sockets.router_monitor, sockets.xpub_monitor)}
        if sockets.zap is not None:
            self._monitors.add(sockets.zap.fd)
        for fd in self._monitors:
            self._poller.register(fd, zmq.POLLIN)

    def watch(self, fd: int, read: Watcher, *, urgent: bool = True, writing: bool = False) -> None:
        """Has a descriptor watched by the same poller, from now on only like this.

        Args:
            read: called when there is something; gives inputs.
            urgent: whether it also ends the pause after telling a crowd.
            writing: whether it is to be called when something can be written, and not when something can be read.
        """
        self._watched[fd] = read
        if urgent:
            self._urgent.register(fd, select.POLLIN)
        self._poller.register(fd, zmq.POLLOUT if writing else zmq.POLLIN)

    def unwatch(self, fd: int) -> None:
        """Undoes `watch`; harmless if it was not watched."""
        if self._watched.pop(fd, None) is not None:
            with suppress(KeyError):  # it is not urgent
                self._urgent.unregister(fd)
            self._poller.unregister(fd)

    def look_with(self, look: Callable[[], None]) -> None:
        """Has something done every `LOOK` seconds."""
        self._looks.append(look)

    def give(self, item: Input) -> None:
        """Hands the next turn an input. May be called from a signal handler."""
        self._given.append(item)

    def audit(self, limit: int) -> Sequence[Event]:
        """The last lines of the audit log, so many at most."""
        room = self.hub.rooms.by_name.get(AUDIT)
        if room is None:
            return ()
        return self._store.read(AUDIT, max(room.head - limit, 0), limit, AUDIT_SIZE).events

    def reload(self, settings: Settings, keep_days: float | None, keep_messages: int | None) -> list[str]:
        """Goes by other settings from now on.

        Args:
            keep_days, keep_messages: see `Store.retain`.

        Returns:
            The names of the limits that only a restart takes over: clients were told, or memory was laid out for them.
        """
        settings, fixed = limits.kept(self.hub.settings, settings)
        self.hub.reload(settings)
        self._subscribers.limit = TOPIC * settings.max_rooms_joined
        self._inflow.limit = settings.credit * settings.text_limit + DRAIN
        self._subscribers.most = 2 * settings.max_sessions_person
        for port in (self._requests_port, self._rooms_port):
            port.go_by(settings)
        self._store.retain(keep_days, keep_messages)
        self._store.quotas = _quotas(settings)
        self._tidy_at = 0.0
        return fixed

    @property
    def door(self) -> Door | None:
        """To whom it is open; None on plaintext."""
        return None if self._entrance is None else self._entrance.door

    def admit_by(self, door: Door) -> None:
        """Lets in by another door from now on; who may not come in by it has to leave."""
        if self._entrance is not None:
            self._entrance.door = door
            self.hub.admit_by(door)

    def owner_link(self) -> str | None:
        """The link by which the first owner comes in, if there is none yet."""
        admission = self.hub.admission
        return None if self._entrance is None or admission is None else self._entrance.owner_link(admission)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop, and has told everybody."""
        return self.hub.draining

    @property
    def busy(self) -> bool:
        """Whether it owes somebody an answer that takes another turn."""
        return self.hub.busy

    def standing(self) -> Standing:
        """How it is, in numbers."""
        hub = self.hub
        public = len(hub.rooms.public)
        return Standing(
            len(self._requests_port.open),
            len(self._rooms_port.open),
            len(hub.sessions),
            len(hub.rooms.everybody),
            public,
            len(hub.rooms.by_name) - public,
            hub.queue,
            hub.draining,
            self._storing,
        )

    def ready(self) -> str:
        """Why nobody should be sent here now; empty if all is well."""
        if self.hub.draining:
            return "draining: the broker was told to stop"
        if not self._storing and self._probe_at <= time.monotonic():
            self._probe_at = time.monotonic() + LOOK
            try:
                # It writes, and changes nothing: there is no such name. Else it would not show before the next message.
                self._store.commit(Work(freed=[""]))
                self._storing = True
            except (errors.StoreUnavailable, errors.StoreRejected):
                pass
        return "" if self._storing else "the store cannot be written: see to the disk"

    def turn(self, most: float = 1.0) -> None:
        """Waits until there is something to do, and does it. Returns at least once a second.

        Args:
            most: seconds to wait at most, if that is less.
        """
        self._wait_for_crowds()
        pressing = self._given or self._connections.ending
        now = time.monotonic()
        wait = min(self.hub.wait(), max(min(self._tidy_at, self._look_at) - now, 0.0), most)
        ready = self._poll(0.0 if pressing else wait)
        begun = time.monotonic()
        inputs: list[Input] = []
        if not self._monitors.isdisjoint(ready):
            self._drain_monitors()
            if self._sockets.zap is not None:
                self._sockets.zap.answer(self._may_connect)
        drained = True
        if self._sockets.router in ready or self._connections.ending:
            drained = self._drain_router(inputs)
        if self._sockets.xpub in ready or self._subscribers.ending:
            self._drain_xpub(inputs)
        if drained and self._connections.ending:  # after all that they said
            inputs += [Gone(peer) for peer in self._connections.take_ended()]
        for fd, read in list(self._watched.items()):
            if fd in ready:
                inputs += read()
        while self._given:
            inputs.append(self._given.popleft())
        self._execute(inputs)
        self._tidy(idle=not ready)
        now = time.monotonic()
        self.counts.turns.observe(now - begun)
        if self._look_at <= now:
            self._look()

    def _poll(self, wait: float) -> dict[Any, int]:
        """Waits so many seconds for something to do."""
        until = time.monotonic() + wait
        while True:
            left = until - time.monotonic()
            strangers = bool(self._requests_port.strangers or self._rooms_port.strangers)
            soon = min(left, GLANCE) if strangers else left
            ready: dict[Any, int] = dict(self._poller.poll(int(soon * 1000) + 1 if left > 0 else 0))
            if strangers:
                self._glance()
            if ready or soon >= left:
                return ready

    def _wait_for_crowds(self) -> None:
        wait = self._pace.until - time.monotonic()
        if wait > 0:
            self._urgent.poll(wait * 1000)

    def close(self, linger: int = 500) -> None:
        """Lets go of sockets and store; what is under way to clients has `linger` milliseconds, from now on."""
        until = time.monotonic() + linger / 1000
        try:
            self._store.close()  # first, so that whoever waits for the port finds the log free
        finally:
            self._inflow.close()
            self._sockets.close(max(int((until - time.monotonic()) * 1000), 0))

    # In ---------------------------------------------------------------------------------------------------------------

    def _drain_router(self, inputs: list[Input]) -> bool:
        """Takes what has come from peers; says whether that was everything."""
        router = self._sockets.router
        budget = DRAIN
        while budget > 0:
            try:
                peer = router.recv(_NOBLOCK)
            except zmq.Again:
                return True
            known = self._connections.get(peer)
            if known is not None and not known.ended:
                frame = router.recv()
            else:
                first = router.recv(copy=False)
                frame, known = first.bytes, self._met(peer, first, inputs)
            size = FRAME_COST + len(frame)
            parts = 1
            while router.get(zmq.RCVMORE):
                size += FRAME_COST + len(router.recv())
                parts += 1
            budget -= size
            if known is not None:
                known.heard += size
                if not self._connections.is_cut(peer):
                    inputs.append(Received(peer, self._requests(frame, parts)))
        return False

    def _met(self, peer: bytes, first: zmq.Frame, inputs: list[Input]) -> Connection | None:
        """The connection over which the first frame of a peer came; None if it is not heard."""
        fd, key = first.get(zmq.SRCFD), _key(first) if self._sockets.zap is not None else b""
        known = self._connections.get(peer)
        if known is not None:  # it has ended, and this is what it said before, or another that claims its routing id
            if known.key == key:
                return known
            cut(fd)
            return None
        if len(peer) < codec.ROUTING_ID:
            log.warning("cut %s: it has a routing id that others can guess", cut(fd))
            return None
        # What ended before this connection began is noted first: its descriptor may be this one's.
        self._drain_monitors()
        if key:
            inputs.append(Met(peer, key))
        return self._connections.add(peer, fd, key)

    def _requests(self, frame: bytes, parts: int) -> Sequence[Request | codec.Malformed]:
        try:
            if parts > 1:
                raise errors.Undecodable("a frame has one part")
            return codec.decode_requests(frame, self.hub.settings.credit + 1)
        except errors.Undecodable as error:
            return [codec.Malformed(0, errors.BadRequest(str(error)))]

    def _drain_xpub(self, inputs: list[Input]) -> None:
        xpub = self._sockets.xpub
        budget = DRAIN
        while budget > 0:
            try:
                frame = xpub.recv(_NOBLOCK, copy=False)
            except zmq.Again:
                inputs += [FenceMoved(fence, 0, up=False) for fence in self._subscribers.take_ended()]
                return
            # Part by part: to libzmq a subscription is whatever part of a message begins like one.
            body = frame.bytes
            budget -= FRAME_COST + len(body)
            try:
                fd = frame.get(zmq.SRCFD)
            except zmq.ZMQError:  # libzmq unsubscribes for a connection that has ended: its monitor tells
                continue
            if not self._subscribes(fd, _key(frame) if self._sockets.zap is not None else b""):
                continue
            if body[:1] == b"\0":
                self._subscribers.unsubscribed(fd, len(body))
                continue
            topic = body[1:] if body[:1] == b"\1" else b""
            fence = codec.parse_fence(topic)
            if self._subscribers.subscribed(fd, len(body), fit=fence is not None or topic.startswith(b"r.")):
                log.warning("cut %s: it asked the PUB port for what is no topic, or for too many", cut(fd))
            elif fence is not None:
                self._subscribers.fenced(fd, fence[0])
                inputs.append(FenceMoved(*fence, up=True))

    def _subscribes(self, fd: int, key: bytes) -> bool:
        """Whether what came over a connection to the PUB port is to be looked at."""
        if self._subscribers.key(fd) is None:
            self._drain_monitors()  # as for requests
            if self._subscribers.key(fd) is None and not self._subscribers.has_ended(fd):
                many = self._subscribers.add(fd, key)
                if many or not (self._sockets.zap is None or self._live(key)):
                    log.warning("cut %s: it may not subscribe to anything, or not once more", cut(fd))
        if self._subscribers.has_ended(fd):
            return False
        if self._subscribers.key(fd) != key:
            cut(fd)  # of two connections that had this descriptor in turn: let it come again
            return False
        return True

    def _drain_monitors(self) -> None:
        clock = self.hub.turn.clock
        for port, monitor, ended in (
            (self._requests_port, self._sockets.router_monitor, self._connections.ended),
            (self._rooms_port, self._sockets.xpub_monitor, self._subscribers.ended),
        ):
            for event, value in monitored(monitor):
                if event == zmq.EVENT_ACCEPTED:
                    port.accepted(value, clock)
                    if port is self._rooms_port:
                        self._subscribers.begun(value)
                elif event == zmq.EVENT_DISCONNECTED:
                    port.ended(value)
                    ended(value)
                elif event == zmq.EVENT_LISTENING:  # anew: all that there were ended with that, and nobody says so
                    for fd in list(port.open):
                        port.ended(fd)
                        ended(fd)
                else:
                    log.info("a connection ended before it spoke ZeroMQ, or without a key that it needs")
            for fd in port.crowded():
                log.warning("cut %s: too many connections, and it has not said hello", cut(fd))

    # Who may be connected ---------------------------------------------------------------------------------------------

    def _may_connect(self, domain: bytes, key: bytes) -> Answer:
        """What libzmq is told of a connection that has shown its key."""
        admission = self.hub.admission
        if admission is None:
            return Answer.NO
        if domain == REQUESTS:
            return admission.knock(key)
        if self._live(key):
            return Answer.YES
        return Answer.LATER if admission.may_come(key) else Answer.NO

    def _live(self, key: bytes) -> bool:
        """Whether a key has a session."""
        admission = self.hub.admission
        return admission is not None and any(one.key == key for one in self.hub.sessions.of(admission.person(key)))

    def _has_session(self, fd: int) -> bool:
        peer = self._connections.at(fd)
        return peer is not None and self.hub.sessions.at(peer) is not None

    def _has_fence(self, fd: int) -> bool:
        fence = self._subscribers.fence(fd)
        return fence is not None and self.hub.sessions.fenced(fence) is not None

    def _shut(self, keys: Sequence[bytes]) -> None:
        """Cuts all connections of keys to the PUB port."""
        for key in keys:
            for fd in self._subscribers.of(key):
                cut(fd)
        # Whose those are over which nothing came yet is not known, and what they subscribe to now would count before it
        # is looked at. Who has a session connects again.
        self._drain_monitors()
        for fd in self._rooms_port.open:
            if self._subscribers.key(fd) is None:
                cut(fd)

    def _look(self) -> None:
        """Cuts who has said no hello in time, and who sends what never ends."""
        self._look_at = time.monotonic() + LOOK
        clock = self.hub.turn.clock
        for port in (self._requests_port, self._rooms_port):
            for fd in port.late(clock):
                log.info("cut %s: it said no hello in time", cut(fd))
        if self._inflow.grew():
            self._cut_endless(self._requests_port.open, self._rooms_port.open)
        if not self._sockets.renewed or self._requests_port.stuck(len(self.hub.sessions), clock):
            self._renew()
        for look in self._looks:
            look()

    def _glance(self) -> None:
        """Cuts who has no session and sends what never ends."""
        now = time.monotonic()
        if now >= self._glance_at:
            if self._inflow.grew_little():
                self._cut_endless(self._requests_port.strangers.unknown(), self._rooms_port.strangers.unknown())
            self._glance_at = now + max(GLANCE, 10 * (time.monotonic() - now))

    def _cut_endless(self, requests: Iterable[int], rooms: Iterable[int]) -> None:
        for some, heard, known in (
            (requests, self._connections.heard, self._has_session),
            (rooms, self._subscribers.heard, self._has_fence),
        ):
            for fd in self._inflow.excessive({fd: heard(fd) for fd in some}, known):
                log.warning("cut %s: it sends a message that does not end", cut(fd))

    def _renew(self) -> None:
        """Takes the port for requests anew: of a connection whose routing id another one took over, libzmq lets go in
        no other way. Everybody connects again, and resumes.
        """
        if self._sockets.renewed:
            log.warning("took the port for requests anew: too many connections claimed each other's routing id")
        self._sockets.renew()

    # The turn ---------------------------------------------------------------------------------------------------------

    def _execute(self, inputs: list[Input]) -> None:
        work = self.hub.handle(inputs, Now(time.monotonic(), _ms()))
        writes = work.writes
        begun = time.monotonic() if writes else 0.0
        try:
            outcome = apart.commit(self._store, work)
            if writes:
                self._storing = True
                self.counts.commits.observe(time.monotonic() - begun)
                self.counts.committed(outcome)
            effects = self.hub.committed(outcome)
        except errors.StoreUnavailable as error:
            self._storing = False
            self.counts.failures += 1
            if writes:
                self.counts.commits.observe(time.monotonic() - begun)
            effects = self.hub.failed(error, self._greeted(work))
            if self._entrance is not None:
                self._entrance.again()
        self._run(effects)

    def _greeted(self, work: Work) -> Sequence[Greeted | None]:
        """What is known of those who say hello while nothing can be kept: it is only looked up."""
        try:
            return self._store.commit(Work(greetings=work.greetings)).greeted
        except errors.StoreUnavailable:
            return ()

    def _tidy(self, *, idle: bool) -> None:
        now = time.monotonic()
        try:
            self._tidy_at = now + self._store.tidy(_ms(), idle=idle)
        except errors.StoreUnavailable as error:
            log.warning("the store could not be tidied: %s", printable(str(error)))
            self._tidy_at = now + TIDY_AGAIN

    def _run(self, effects: Effects) -> None:
        stamp = self._store.stamp
        gone = [key for key in effects.shut if not self._live(key)]
        if gone:  # first: what is published below is not for them
            self._shut(gone)
        times = 0
        for room, publication in effects.published.items():
            frames = codec.encode_published(room, stamp, publication.events, publication.states)
            for frame in frames:
                self._sockets.xpub.send(frame, _NOBLOCK)
            if publication.followers >= CROWD:
                times += publication.followers * len(frames)
        if times:
            self._pace.told(times, time.monotonic())
        for lookup in effects.lookups:
            effects.reply(lookup.peer, self._look_up(lookup))
        alike: dict[
            int | tuple[int, ...], Sequence[bytes | zmq.Frame]
        ] = {}  # what goes to many is put into frames once
        for peer, items in effects.replies.items():
            same = id(items[0]) if len(items) == 1 else tuple(map(id, items))
            told = alike.get(same)
            if told is None:
                told = alike[same] = codec.encode_replies(stamp, items)
            elif type(told[0]) is bytes:
                told = alike[same] = [shared(frame) for frame in told]
            self._send(peer, told)
        self.counts.told(effects)
        for line in effects.log:
            address = self._connections.address(line.peer)
            extra = {"address": address} if address else None
            log.log(line.level, "%s%s", printable(line.text), f" from {address}" if address else "", extra=extra)
        for peer in effects.cuts:
            self._connections.cut(peer)
        for peer, wait in effects.over:
            known = self._connections.get(peer)
            if known is not None and self._connections.at(known.fd) == peer:
                self._requests_port.stranger(known.fd, self.hub.turn.clock + wait)
        if self._entrance is not None:
            for link in effects.used:
                self._entrance.used(link)
            for invite in effects.given:
                self._entrance.kept(invite)
        if self._console is not None and effects.console:
            self._console(effects.console)
        if self._said is not None:
            for room, publication in effects.published.items():
                for event in map(codec.decode_event, publication.events):
                    if isinstance(event, Message):
                        self._said(room, event)

    def _look_up(self, lookup: Lookup) -> Reply:
        try:
            return lookup.answer(self._store)
        except errors.Refusal as problem:
            return Failed(lookup.q, problem.code, str(problem))
        except errors.StoreUnavailable:
            return Failed(lookup.q, errors.Unavailable.code, errors.Unavailable.says)

    def _send(self, peer: bytes, frames: Sequence[bytes | zmq.Frame]) -> None:
        if self._connections.is_cut(peer):
            return
        router = self._sockets.router
        try:
            for frame in frames:
                router.send(peer, _MORE)
                router.send(frame, _NOBLOCK, type(frame) is bytes)
        except zmq.Again:
            # It takes nothing in. Its session stays: it comes back and asks for what it missed.
            log.warning("cut %s: it does not read", self._connections.address(peer))
            self._connections.cut(peer)
        except zmq.ZMQError as error:
            if error.errno != errno.EHOSTUNREACH:
                raise
            self._connections.unreachable(peer)


def shared(frame: bytes | zmq.Frame) -> bytes | zmq.Frame:
    """A frame that goes to several: libzmq keeps one of some length once for all, else each time anew."""
    return zmq.Frame(frame, copy=True) if type(frame) is bytes and len(frame) > SHARED else frame


def _quotas(settings: Settings) -> Quotas:
    return Quotas(settings.max_bytes_person, settings.max_bytes_room)


def _key(frame: zmq.Frame) -> bytes:
    """The key that a frame's connection has shown."""
    return bytes.fromhex(str(frame.get("User-Id")))


def _ms() -> int:
    return time.time_ns() // 1_000_000
