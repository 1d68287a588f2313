# SPDX-License-Identifier: MIT
"""A fleet: AFL++'s own distributed mode, by a folder that several hosts share. Here is only who is who in it.

  DIR/TARGET/ROLE-HOST/   AFL++'s folder of one instance; every other reads its queue
  DIR/.hosts/HOST         whose that name is

AFL++ locks an instance's folder only while it runs. Two campaigns of one name would take turns in it, each with the other's
queue for its own: so a name belongs to the campaign that had it first, and is locked while that runs.
"""
import errno
import fcntl
import json
import os
import secrets
import socket
import time
from pathlib import Path

from targets import Refused


def host_of(instance):
    """The host in the name of an instance. No role has a hyphen; a host may. Empty: none, as of a campaign by itself."""
    return instance.partition("-")[2]


def own(folder, settings):
    """Folders of this campaign's instances, among all that meet in AFL++'s folder."""
    if not folder.is_dir():
        return []
    return [p for p in folder.iterdir() if p.is_dir() and (not settings.host or host_of(p.name) == settings.host)]


def _lock(file):
    """False: somebody else has it. A file system without locks says nothing."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
    return True


def _owner(text, ident):
    """Whose a name is, or None: this campaign's, or nobody's."""
    try:
        entry = json.loads(text) if text else None
        return None if entry is None or entry["id"] == ident else f"the campaign in {entry['out']} on {entry['machine']}"
    except (ValueError, KeyError, TypeError):
        return "nobody knows whose"


def claim(settings, store):
    """Takes the host's name for this campaign, which keeps it between its runs. The file is to be kept open while it runs."""
    ident = store.state.setdefault("fleet_id", secrets.token_hex(16))
    path, wanted = Path(settings.fleet) / ".hosts" / settings.host, f"--name {settings.host}: in the fleet {settings.fleet}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8")
        free, text = _lock(file), file.read()
        who = _owner(text, ident)
        if free and not who:
            if not text:
                store.save()  # before the name is taken: a kill in between costs nothing
                json.dump({"id": ident, "machine": socket.gethostname(), "out": str(settings.out), "since": round(time.time())}, file)
                file.flush()
                os.fsync(file.fileno())
            return file
        file.close()
    except OSError as error:
        raise Refused(f"--fleet {settings.fleet}: {error.filename or path}: {error.strerror}", 3) from error
    if not free:
        raise Refused(f"{wanted} a campaign of this name runs now: choose another --name")
    raise Refused(f"{wanted} this is {who}: choose another --name, or remove {path} if that one is gone for good")
