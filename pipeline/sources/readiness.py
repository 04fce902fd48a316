"""Whether a source can be used with its current entry: verified, a source of heights, and with readable files."""

from __future__ import annotations

from typing import Final

from orograph.pipeline.errors import ConfigError, OrographError, SourceMissing, SourceUnverified
from orograph.pipeline.sources.catalogue import CellTemplate, Files, Portal, Source

_ARCHIVES: Final = (".zip", ".7z", ".001", ".tar", ".tar.gz", ".tgz")


def check_ready(source: Source) -> None:
    """Raise the error that prevents planning with a source, if any.

    Raises:
        SourceUnverified: facts of its entry are to be confirmed and were not accepted.
        ConfigError: it is a layer of errors, not of heights.
        SourceMissing: its files must be downloaded by the user, or unpacked.
    """
    error = obstacle(source)
    if error is not None:
        raise error


def obstacle(source: Source) -> OrographError | None:
    """The error of `check_ready`; None where the source can be planned."""
    if source.layer == "error":
        return ConfigError(
            "the source contains standard deviations, not heights", source=source.id, remedy="leave it out"
        )
    if source.unverified and not source.accept_unverified:
        return SourceUnverified(
            f"the source is not verified; to confirm: {'; '.join(source.unverified)}",
            source=source.id,
            remedy=f"confirm this, then add --accept-unverified {source.id}; or correct a copy of the entry",
        )
    if isinstance(source.data, Portal):
        return SourceMissing(
            f"files are to be downloaded by hand: {source.data.how} ({source.data.href})",
            source=source.id,
            remedy=f"put them into a folder and add --data '{source.id}=FOLDER/*.tif'",
        )
    if (archive := archive_of(source)) is not None:
        return SourceMissing(
            f"files are in archives such as {archive}",
            source=source.id,
            remedy=f"run `orograph sources fetch {source.id} --area ... --to FOLDER`, then add "
            f"--data '{source.id}=FOLDER/{source.id}/**/*.tif'",
        )
    return None


def archive_of(source: Source) -> str | None:
    """Href (or template) of a source's archives, which must be unpacked; None if it has none.

    A chain that names the member (`zip://a.tif::https://...`) is read directly.
    """
    if isinstance(source.data, Files):
        hrefs = source.data.hrefs
    elif isinstance(source.data, CellTemplate):
        hrefs = (source.data.href,)
    else:
        return None
    return next((href for href in hrefs if "://" in href and is_archive(href)), None)


def is_archive(href: str) -> bool:
    """Whether an href is an archive as a whole."""
    return "::" not in href and href.partition("?")[0].lower().endswith(_ARCHIVES)
