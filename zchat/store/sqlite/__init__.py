"""The store on disk: one SQLite file. A turn is a transaction, on the disk before it is answered."""

from zchat.store.sqlite.retention import Retention as Retention
from zchat.store.sqlite.store import SqliteStore as SqliteStore
from zchat.store.sqlite.store import open_store as open_store
