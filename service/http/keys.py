"""The API keys of the service, with their names and roles, and the sessions of browsers that have shown one."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from quartet.errors import InputError
from service.settings import Settings, checked_key, read_key

LOG = logging.getLogger(__name__)

Role = Literal["read", "write", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may."""

_SESSIONS = 10_000
_SESSION_SECONDS = 30 * 24 * 3600.0
_ADDRESSES = 10_000


@dataclass(frozen=True)
class Key:
    """A key: `name` is for logs and for fairness between clients, `digest` is SHA-256 of the key itself."""

    name: str
    role: Role
    digest: bytes

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


class Keys:
    """The keys of `settings`. A file of keys that changes holds at once; one that cannot be used changes nothing.

    Raises InputError for keys that cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = [path for path in (settings.api_key_file, settings.api_keys_file) if path is not None]
        self._seen = self._versions()
        self._keys = _keys(settings)
        self._sessions: OrderedDict[bytes, tuple[Key, float]] = OrderedDict()

    @property
    def required(self) -> bool:
        """Whether requests must carry a key."""
        return self._settings.has_keys

    def find(self, given: str) -> Key | None:
        """The key that somebody gives, None if there is no such key."""
        digest = _digest(given)
        # All are compared, and digests: the time tells nothing of a key.
        found = [key for key in self._current() if hmac.compare_digest(key.digest, digest)]
        return found[0] if found else None

    def log_in(self, key: Key) -> str:
        """A token that stands for `key` until `log_out`."""
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = (key, time.monotonic() + _SESSION_SECONDS)
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def of_session(self, token: str) -> Key | None:
        """The key of a session; None after `log_out`, after 30 days, and where the key is no longer one."""
        key, ends = self._sessions.get(_digest(token), (None, 0.0))
        return key if key in self._current() and time.monotonic() < ends else None

    def log_out(self, token: str) -> None:
        self._sessions.pop(_digest(token), None)

    def _current(self) -> list[Key]:
        if (now := self._versions()) != self._seen:
            self._seen = now
            try:
                self._keys = _keys(self._settings)
                LOG.info("API keys reloaded: %d.", len(self._keys))
            except InputError as error:
                LOG.error("The API keys cannot be reloaded; the previous ones stay valid. %s", error)
        return self._keys

    def _versions(self) -> list[tuple[int, int, int] | None]:
        return [_version(path) for path in self._files]


class Attempts:
    """Wrong keys by address: after `most` of them in `seconds`, an address has to wait."""

    def __init__(self, most: int = 10, seconds: float = 60.0) -> None:
        self._most, self._seconds = most, seconds
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until `address` may try again, 0 if it may now."""
        times = self._failed.get(address)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + self._seconds - time.monotonic())

    def failed(self, address: str) -> None:
        times = self._failed.setdefault(address, deque(maxlen=self._most))
        times.append(time.monotonic())
        self._failed.move_to_end(address)
        while len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)


def _keys(settings: Settings) -> list[Key]:
    """Raises InputError."""
    single = settings.key()
    found = [] if single is None else [Key("default", "admin", _digest(single))]
    if settings.api_keys_file is not None:
        found += _listed(settings.api_keys_file)
    if len({key.digest for key in found}) < len(found) or len({key.name for key in found}) < len(found):
        raise InputError("Two API keys have the same name or the same key. Make each name and each key unique.")
    if settings.has_keys and not found:
        raise InputError(f"{settings.api_keys_file} holds no API key. Write a line for each: NAME ROLE KEY.")
    return found


def _listed(path: Path) -> list[Key]:
    """The keys of a file with a line `NAME ROLE KEY` for each; `#` begins a comment line."""
    found = []
    for number, line in enumerate(read_key(path).splitlines(), 1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        roles = {role: role for role in ROLES}
        if len(parts) != 3 or parts[1] not in roles:
            raise InputError(
                f"Line {number} of {path} must have the form NAME ROLE KEY, where ROLE is one of {', '.join(ROLES)}."
            )
        found.append(Key(parts[0], roles[parts[1]], _digest(checked_key(parts[2]))))
    return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
