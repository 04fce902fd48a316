"""Public form of a source: file names without paths, URLs without credentials."""

from __future__ import annotations

import posixpath
from urllib.parse import urlsplit

from orograph.pipeline.sources.catalogue import Access, CellTemplate, Files, Location
from orograph.pipeline.sources.refs import FileRef, SourceRef


def public_href(href: str) -> str:
    """Return a local path's last part, or a URL without user, query and fragment, which may contain credentials.

    `/home/me/heights/a.tif` -> `a.tif`; `https://me:secret@host/a.tif?sig=x` -> `https://host/a.tif`.
    """
    if "::" in href:
        inner, _, outer = href.rpartition("::")
        return f"{inner}::{public_href(outer)}"
    parts = urlsplit(href)
    if "://" not in href or parts.scheme == "file":
        return posixpath.basename(href.rstrip("/"))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def public_ref(ref: SourceRef) -> SourceRef:
    """Return the public form of a source: files by name and ETag, so that users can compare their own files."""
    source = ref.source
    grid, cover = source.vertical_grid, source.land_cover
    shown = source.model_copy(
        update={
            "data": _public_location(source.data),
            # Profiles, headers and options are the operator's own.
            "access": Access(region=source.access.region, requester_pays=source.access.requester_pays),
            "vertical_grid": grid and grid.model_copy(update={"path": public_href(grid.path)}),
            "land_cover": cover and cover.model_copy(update={"path": public_href(cover.path)}),
        }
    )
    files = tuple(map(_public_file, ref.files))
    return ref.model_copy(update={"source": shown, "files": files})


def _public_file(file: FileRef) -> FileRef:
    sidecars = tuple(map(_public_file, file.sidecars))
    return file.model_copy(update={"href": public_href(file.href), "sidecars": sidecars})


def _public_location(location: Location) -> Location:
    if isinstance(location, Files):
        return location.model_copy(update={"hrefs": tuple(map(public_href, location.hrefs))})
    hrefs = {"href": public_href(location.href)}
    if isinstance(location, CellTemplate) and location.cells is not None:
        hrefs["cells"] = public_href(location.cells)
    return location.model_copy(update=hrefs)
