"""Runs entry commands as a container engine would, without one: the image's variables, user 1000, mounts, own network.

A holder process has namespaces for mounts, network and processes, and a root directory that consists of this machine's
programs plus the image's own files. Commands enter it without capabilities. Everything in it ends with the holder.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.manifests import DEPLOY, ROOT

IMAGE_BIN: Final = "/usr/local/orograph/bin"
_USER: Final = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
_SYSTEM: Final = ("bin", "lib", "lib64", "sbin")


def missing() -> str:
    """What this machine lacks; empty when nothing."""
    if not all(map(shutil.which, ("unshare", "nsenter", "setpriv", "ip"))):
        return "unshare, nsenter, setpriv (util-linux) or ip (iproute2) is not installed"
    tried = subprocess.run(["unshare", "-m", "-n", "-p", "--fork", "true"], check=False, capture_output=True)
    return "namespaces are not allowed here" if tried.returncode else ""


def dockerfile() -> str:
    """The Dockerfile, continued lines joined."""
    return (DEPLOY / "docker/Dockerfile").read_text().replace("\\\n", " ")


def image_environment() -> dict[str, str]:
    """Variables of the image's runtime stage."""
    stage = dockerfile().split("AS runtime", 1)[1].split("\nFROM ", 1)[0]
    found = {}
    for line in re.findall(r"^ENV (.+)$", stage, re.MULTILINE):
        found.update(word.split("=", 1) for word in shlex.split(line))
    return {**found, "PATH": found["PATH"].replace("$PATH", "/usr/local/bin:/usr/bin:/bin"), "HOME": "/home/orograph"}


def image_profile() -> str:
    """Line that the image adds to the profiles of login shells."""
    found = re.search(r"echo '([^']+)' > /etc/profile.d/orograph.sh", dockerfile())
    assert found is not None
    return found[1]


@dataclass(frozen=True)
class Container:
    """A running container.

    Attributes:
        pid: Its first process, as this machine numbers it.
        environment: Variables of every command.
    """

    pid: int
    environment: dict[str, str] = field(default_factory=image_environment)

    def words(self, command: Sequence[str], environment: Mapping[str, str], user: Sequence[str] = _USER) -> list[str]:
        """The command line that enters the container with exactly these variables and runs a command."""
        variables = {**self.environment, **environment}
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--root"]
        return [
            *enter,
            "--",
            *user,
            "env",
            "-C",
            "/home/orograph",
            "-i",
            *(f"{k}={v}" for k, v in variables.items()),
            *command,
        ]

    def run(self, command: Sequence[str], timeout_s: float = 120.0, **environment: str) -> str:
        """Run a command to its end; its output, or an error with it where it fails."""
        words = self.words(command, environment)
        try:
            ended = subprocess.run(words, check=False, capture_output=True, text=True, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{shlex.join(command)}: still runs after {timeout_s} s\n{error.output}") from error
        assert ended.returncode == 0, f"{shlex.join(command)}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout + ended.stderr

    def start(self, command: Sequence[str], log: Path, **environment: str) -> subprocess.Popen[Any]:
        """Start a command that stays."""
        with log.open("wb") as out:
            return subprocess.Popen(self.words(command, environment), stdout=out, stderr=subprocess.STDOUT)


def wait_for(container: Container, command: Sequence[str], timeout_s: float = 90.0, **environment: str) -> str:
    """Repeat a command, such as a health check, until it succeeds."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return container.run(command, **environment)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)


@contextlib.contextmanager
def running_container(
    folder: Path, mounts: Mapping[str, Path], hosts: Sequence[str] = (), read_only: Sequence[str] = ()
) -> Iterator[Container]:
    """A container that waits for commands.

    Args:
        folder: A folder of its own.
        mounts: What is seen at a path inside; `/tmp` and `/home/orograph` are its own.
        hosts: Names that mean the container itself.
        read_only: Paths of mounts that cannot be written.
    """
    root = folder / "root"
    script = folder / "holder.sh"
    script.write_text("\n".join(_script(root, mounts, hosts, read_only)))
    holder = subprocess.Popen(
        ["unshare", "-m", "-n", "-p", "--fork", "--kill-child", "bash", "-eu", str(script)], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"ready\n", "the container's root could not be made"
        (child,) = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        yield Container(int(child))
    finally:
        holder.kill()
        holder.wait(20)


def _script(root: Path, mounts: Mapping[str, Path], hosts: Sequence[str], read_only: Sequence[str]) -> Iterator[str]:
    """Commands that build the root directory and wait in it."""
    yield f"root={shlex.quote(str(root))}"
    yield "mkdir -p $root; mount --make-rprivate /; mount -t tmpfs -o mode=755 tmpfs $root; cd $root"
    yield "mkdir -p usr/local/orograph/bin dev proc sys tmp run root home/orograph"
    yield f"for name in {' '.join(_SYSTEM)}; do [ ! -e /$name ] || cp -a /$name . ; done"
    yield "for path in /usr/*; do [ $path = /usr/local ] || { mkdir .$path; mount --rbind $path .$path; }; done"
    yield "for path in /usr/local/*; do mkdir -p .$path; mount --rbind $path .$path; done"
    yield "mount --rbind /dev dev; mount -t tmpfs -o mode=1777 tmpfs dev/shm; mount --rbind /sys sys; mount -t proc proc proc"
    yield "chmod 1777 tmp; cp -a /etc etc; rm -f etc/hosts etc/profile.d/*"
    for prefix in _prefixes():
        yield f"mkdir -p .{prefix}; mount --rbind {prefix} .{prefix}"
    # The image's own: its user, its profile, its programs.
    yield "sed -i '/:1000:/d' etc/passwd etc/group"
    yield "echo 'orograph:x:1000:1000::/home/orograph:/bin/bash' >> etc/passwd; echo 'orograph:x:1000:' >> etc/group"
    yield "chown 1000:1000 home/orograph"
    yield f"echo {shlex.quote(image_profile())} > etc/profile.d/orograph.sh"
    yield f'echo "127.0.0.1 localhost $(hostname) {" ".join(hosts)}" > etc/hosts'
    for name, module in (("orograph", "orograph"), ("ray", "ray.scripts.scripts"), ("python", "")):
        words = f"{sys.executable} -m {module}" if module else sys.executable
        yield f"printf '#!/bin/sh\\nexec {words} \"$@\"\\n' > .{IMAGE_BIN}/{name}; chmod 755 .{IMAGE_BIN}/{name}"
    for path, source in mounts.items():
        target = f".{path}"
        make = f"mkdir -p {target}" if source.is_dir() else f"mkdir -p $(dirname {target}); touch {target}"
        yield f"{make}; mount --bind {shlex.quote(str(source))} {target}"
        if path in read_only:
            yield f"mount -o remount,bind,ro {target}"
    # Ready only inside the root: what enters earlier sees this machine's.
    yield "ip link set lo up; exec chroot . /bin/sh -c 'echo ready; exec /bin/sleep infinity'"


def _prefixes() -> list[str]:
    """Folders of this Python and its packages, the outermost only."""
    found = {Path(sys.prefix), Path(sys.base_prefix), ROOT}
    found |= {Path(entry) for entry in sys.path if entry.endswith("site-packages")}
    found = {path for path in found if not path.is_relative_to("/usr")}
    return sorted(str(path) for path in found if not any(other in path.parents for other in found))
