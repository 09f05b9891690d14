"""The Debian package: the package for Debian's own Python, its manual page and completions, by dpkg-deb alone."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path, PurePosixPath

CHECKOUT = Path(__file__).resolve().parents[1]
RECIPE = CHECKOUT / "scripts" / "debian"
SHELLS = CHECKOUT / "portcheck" / "cli" / "shells"
PYTHON = "usr/lib/python3/dist-packages"
MAN = "usr/share/man/man1"
DOC = "usr/share/doc/portcheck"
# Where each shell looks for what packages bring.
BASH, ZSH, FISH = (
    "usr/share/bash-completion/completions",
    "usr/share/zsh/vendor-completions",
    "usr/share/fish/vendor_completions.d",
)
# The command's second name: installers know this project by it.
LINKS = {"usr/bin/whyport": "portcheck", f"{MAN}/whyport.1.gz": "portcheck.1.gz"}
COMPLETIONS = {"whyport.bash": f"{BASH}/whyport", "whyport.fish": f"{FISH}/whyport.fish"}
PROGRAMS = ("usr/bin/portcheck", "DEBIAN/postinst", "DEBIAN/prerm")


def build(folder: Path, version: str, package: Mapping[str, bytes], timestamp: int) -> Path:
    """The file, made of these files of the package; its bytes depend on nothing else but dpkg-deb."""
    content = {**installed(package, version, timestamp), **control(version)}
    content["DEBIAN/md5sums"] = "".join(
        f"{hashlib.md5(content[name], usedforsecurity=False).hexdigest()}  {name}\n"
        for name in sorted(content)
        if not name.startswith("DEBIAN/")
    ).encode()
    size = sum(-(-len(data) // 1024) for name, data in content.items() if not name.startswith("DEBIAN/"))
    content["DEBIAN/control"] = content["DEBIAN/control"].replace(b"{size}", str(size).encode())
    target = folder / f"portcheck_{version}_all.deb"
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        lay(tree, content, timestamp)
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build", str(tree), str(target)]
        environ = {**os.environ, "SOURCE_DATE_EPOCH": str(timestamp)}
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    return target


def installed(package: Mapping[str, bytes], version: str, timestamp: int) -> dict[str, bytes]:
    """Path → content."""
    licence = (CHECKOUT / "LICENSE").read_text(encoding="utf-8").partition("\n\n")[2].partition("\n\n")[2]
    indented = "".join(f" {line or '.'}\n" for line in licence.splitlines())
    changes = recipe("changelog", version=version, date=formatdate(timestamp))
    other = {place: CHECKOUT / "packaging" / name for name, place in COMPLETIONS.items()}
    return {
        **{f"{PYTHON}/{name}": data for name, data in package.items()},
        **{place: path.read_bytes() for place, path in other.items() if path.exists()},
        "usr/bin/portcheck": recipe("portcheck"),
        f"{MAN}/portcheck.1.gz": packed((CHECKOUT / "docs" / "portcheck.1").read_bytes()),
        f"{BASH}/portcheck": (SHELLS / "portcheck.bash").read_bytes(),
        f"{ZSH}/_portcheck": (SHELLS / "_portcheck").read_bytes(),
        f"{FISH}/portcheck.fish": (SHELLS / "portcheck.fish").read_bytes(),
        f"{DOC}/copyright": recipe("copyright") + indented.encode(),
        f"{DOC}/changelog.gz": packed(changes),
        f"{DOC}/CHANGELOG.md.gz": packed((CHECKOUT / "CHANGELOG.md").read_bytes()),
    }


def control(version: str) -> dict[str, bytes]:
    """What dpkg is told; {size} is still open."""
    return {
        "DEBIAN/control": recipe("control", version=version, size="{size}"),
        "DEBIAN/postinst": recipe("postinst"),
        "DEBIAN/prerm": recipe("prerm"),
    }


def recipe(name: str, **fields: str) -> bytes:
    text = (RECIPE / name).read_text(encoding="utf-8")
    return (text.format(**fields) if fields else text).encode()


def packed(data: bytes) -> bytes:
    """As gzip -9n does it."""
    return gzip.compress(data, 9, mtime=0)


def lay(tree: Path, content: Mapping[str, bytes], timestamp: int) -> None:
    """Writes all that, with modes and times that are nobody's but ours."""
    for name, data in content.items():
        path = tree / PurePosixPath(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if name in PROGRAMS else 0o644)
    for name, to in LINKS.items():
        (tree / name).symlink_to(to)
    for path in (tree, *tree.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (timestamp, timestamp), follow_symlinks=False)
