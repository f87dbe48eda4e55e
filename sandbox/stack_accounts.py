"""PostgreSQL refuses to run as root. Started by root it runs as a system user, who must be able to reach its files."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Final

from sandbox.stack_process import Account
from sandbox.supervisor import Say, StackError

_SYSTEM_USER: Final = "embedded_postgres"
_FALLBACK_USER: Final = "nobody"


def account_for(data: Path) -> Account | None:
    """Whom PostgreSQL runs as: None is ourselves; root hands over to the data's owner, else to a system user."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    entry = _system_user()
    return Account(entry.pw_uid, entry.pw_gid)


def _system_user() -> pwd.struct_passwd:
    entry = _find_user(_SYSTEM_USER)
    if entry is None and (useradd := shutil.which("useradd")):
        command = [
            useradd,
            "--system",
            "--no-create-home",
            "--user-group",
            "--shell",
            "/usr/sbin/nologin",
            _SYSTEM_USER,
        ]
        # Another stack may be making the same user: what counts is that it is there afterwards.
        subprocess.run(command, check=False, capture_output=True)
        entry = _find_user(_SYSTEM_USER)
    entry = entry or _find_user(_FALLBACK_USER)
    if entry is None:
        raise StackError("PostgreSQL cannot run as root, and no other user could be made; start as an ordinary user")
    return entry


def _find_user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def give(directory: Path, account: Account | None) -> None:
    """Makes a private directory of the account's, or checks that it is one."""
    uid = account.uid if account else os.geteuid()
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        found = directory.lstat()
        # In /tmp anyone could have made it first, or have put a link there.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (uid, os.geteuid()):
            raise StackError(f"{directory} belongs to another user") from None
    directory.chmod(0o700)
    if account:
        os.chown(directory, account.uid, account.gid)


def let_reach(path: Path, account: Account | None, say: Say) -> None:
    """Lets the account pass through the directories above `path`, where that is not so yet, and says so."""
    if account is None:
        return
    for directory in path.resolve().parents:
        mode = directory.stat()
        if mode.st_uid != account.uid and not mode.st_mode & stat.S_IXOTH:
            directory.chmod(stat.S_IMODE(mode.st_mode) | stat.S_IXOTH)
            say(
                f"let other users pass through {directory} (chmod o+x): PostgreSQL, which cannot run as root, lives below"
            )


def let_read(tree: Path, account: Account | None, say: Say) -> None:
    """Lets the account read and run what is installed in a tree, as a strict umask may have forbidden."""
    if account is None or _readable(tree):
        return
    for path in (tree, *tree.rglob("*")):
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        run = stat.S_IXOTH if path.is_dir() or mode & stat.S_IXUSR else 0
        path.chmod(mode | stat.S_IROTH | run)
    say(f"let other users read {tree} (chmod -R o+rX)")


def _readable(tree: Path) -> bool:
    """Judged by a few files: one installer wrote them all, under one umask."""
    samples = (tree, tree / "bin", tree / "bin" / "postgres", tree / "share", tree / "lib")
    return all(path.stat().st_mode & stat.S_IROTH for path in samples if path.exists())
