"""What an operator may set, and the bounds on everything that can grow."""

from __future__ import annotations

from dataclasses import dataclass

from zchat.broker.rates import Limits

BANNER = r"""
          _           _
  _______| |__   __ _| |_
 |_  / __| '_ \ / _` | __|
  / / (__| | | | (_| | |_
 /___\___|_| |_|\__,_|\__|
""".strip("\n")
"""The default banner."""

RETRY_MS = 1000
"""When to come back after a refusal that may pass, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a broker behaves. Times are in seconds, sizes in bytes of UTF-8.

    Attributes:
        banner: shown to everybody who comes in.
        pub_port: of the PUB socket, as told to clients.
        credit: unanswered requests allowed on one connection.
        text_limit: in one message.
        grace: from a lost connection until its person is said to be lost; a session resumed before makes no noise.
        silence: after which a session that never fenced is over.
        hello_wait: that a connection to either port may last without a session.
        max_connections: to one port; below half of the descriptors that the system allows.
        max_strangers: connections to one port without a session.
        heartbeat: between a client's heartbeats; stretched so that all clients together stay near `heartbeats` a
            second.
        quiet: after which a room that went quiet says its head once more.
        named_members: up to which a roster, and what changes in it, is told by name.
        crowd_pause: between two presences of a room beyond that.
        page: events in one answer to read, and names in one answer to who or rooms.
        page_size: of the events in one answer to read; with the framing below the frame's limit.
        work_budget: events read and names listed in one turn for all clients together; the rest waits for the next.
        amends: edits and deletions in one turn for all clients together; more are to be tried again.
        search_cost: what a search counts for in that budget.
        hits: messages in one answer to search.
        words: characters of what is searched for.
        max_sessions, max_rooms, max_rooms_joined, max_private_rooms, max_marks: refused beyond; the last three per
            session, per person and per person.
        max_names: of people who were here; beyond it the oldest are forgotten.
        max_names_person: of one person, with those that were given up in the last days.
        max_sessions_person: of one person at a time: programs and devices.
        max_accounts: of people who may come in, under CURVE.
        max_keys_person: of one person: a key for each device.
        max_links_person: that one person made and that may still be used.
        max_uses: of one link.
        max_link_life: seconds that a link may hold.
        max_rooms_person: that one person made.
        max_members: of one room.
        max_members_private: of a private room.
        max_moderators: of one room, besides its founder.
        max_sanctions: of people who are banned or muted in one room, or everywhere.
        max_blocks_person: of whom one person takes nothing private.
        max_bots_person: for which one person answers.
        max_waiting: private messages of one conversation for who is away.
        max_bytes_person, max_bytes_room: of events that are kept.
        bot_rates: the same for a bot; where there are no rates for people it does not hold.
        rates: how much a person may ask for in a time; None for as much as they like. Where anybody can be as many
            persons as they like, limits to each would hinder only the honest.
    """

    banner: str = BANNER
    pub_port: int = 0
    credit: int = 1024
    text_limit: int = 16 * 1024
    grace: float = 10.0
    silence: float = 60.0
    hello_wait: float = 2.25
    max_connections: int = 20_000
    max_strangers: int = 2000
    heartbeat: float = 30.0
    heartbeats: float = 30.0
    quiet: float = 1.0
    named_members: int = 100
    crowd_pause: float = 0.5
    page: int = 500
    page_size: int = 60 * 1024
    work_budget: int = 2000
    amends: int = 20
    search_cost: int = 2000
    hits: int = 100
    words: int = 256
    max_sessions: int = 20_000
    max_rooms: int = 100_000
    max_rooms_joined: int = 2000
    max_private_rooms: int = 1000
    max_marks: int = 5000
    max_names: int = 100_000
    max_names_person: int = 32
    max_sessions_person: int = 64
    max_accounts: int = 100_000
    max_keys_person: int = 16
    max_links_person: int = 100
    max_uses: int = 10_000
    max_link_life: int = 366 * 86400
    max_rooms_person: int = 10_000
    max_members: int = 20_000
    max_members_private: int = 1000
    max_moderators: int = 100
    max_sanctions: int = 10_000
    max_blocks_person: int = 1000
    max_bots_person: int = 16
    max_waiting: int = 1000
    max_bytes_person: int = 1 << 30
    max_bytes_room: int = 1 << 32
    rates: Limits | None = None
    bot_rates: Limits | None = None
