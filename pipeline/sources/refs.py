"""References to sources and files as a job carries them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final, Self

from pydantic import Field, model_validator

from orograph.pipeline.sources.catalogue import Source, Thinning, _Frozen
from orograph.pipeline.sources.sensor import SensorModel


class FileRef(_Frozen):
    """One object of a source as it was when the job was planned.

    Attributes:
        href: Local path or URL (`s3://`, `https://`).
        etag: Identity of the content; for local files `stat:<size>-<time of change>-<inode>` or `sha256:<hex>`.
        size_bytes: Size of the object.
        sha256: Digest of the content, if known.
        blocks_sha256: Digest of the blocks that a tile read, if the file was not read as a whole.
        sidecars: Files next to it that describe it; see `orograph.pipeline.sources.sidecars`.
    """

    href: str
    etag: str
    size_bytes: int = Field(ge=0)
    sha256: str | None = None
    blocks_sha256: str | None = None
    sidecars: tuple[FileRef, ...] = ()

    @classmethod
    def checked(
        cls, href: str, etag: str, size_bytes: int, sha256: str | None = None, sidecars: tuple[FileRef, ...] = ()
    ) -> Self:
        """Make a reference of values that were validated before; six times as fast as `model_construct`."""
        new = cls.__new__(cls)
        values = {
            "href": href,
            "etag": etag,
            "size_bytes": size_bytes,
            "sha256": sha256,
            "blocks_sha256": None,
            "sidecars": sidecars,
        }
        object.__setattr__(new, "__dict__", values)
        object.__setattr__(new, "__pydantic_fields_set__", _REF_FIELDS)
        object.__setattr__(new, "__pydantic_extra__", None)
        object.__setattr__(new, "__pydantic_private__", None)
        return new

    def identity(self) -> list[object]:
        """Return the content for the run key; side-cars are included because they change heights."""
        return [self.href, self.etag, *([sidecar.href, sidecar.etag] for sidecar in self.sidecars)]


_REF_FIELDS: Final = set(FileRef.model_fields)
"""Shared by all references of `FileRef.checked`: they are frozen, and copies have a set of their own."""


class FileListing(_Frozen):
    """Reference to a list of files that is stored elsewhere: digest, number of files and total size.

    Attributes:
        sha256: `listing_digest` of the files.
    """

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    count: int = Field(ge=1)
    size_bytes: int = Field(ge=0)

    @classmethod
    def of(cls, files: Sequence[FileRef]) -> Self:
        """Make the listing of some files."""
        return cls(sha256=listing_digest(files), count=len(files), size_bytes=sum(file.size_bytes for file in files))

    @classmethod
    def joined(cls, first: SourceRef, second: SourceRef) -> Self:
        """Listing of two tiles' files of one source; a file of both counts twice."""
        digest = hashlib.sha256(f"{first.files_digest}{second.files_digest}".encode()).hexdigest()
        count, size_bytes = first.file_count + second.file_count, first.size_bytes + second.size_bytes
        return cls(sha256=digest, count=count, size_bytes=size_bytes)


def listing_digest(files: Sequence[FileRef]) -> str:
    """sha256 of the hrefs and ETags of files and their side-cars, in their order."""
    text = json.dumps([file.identity() for file in files], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class HorizontalOperation(_Frozen):
    """A pinned operation from EPSG:3035 (east, north in metres) to a CRS (x, y or longitude, latitude).

    Attributes:
        definition: PROJ pipeline.
        description: PROJ's name of the operation.
        accuracy_m: Published accuracy; None if PROJ publishes none.
        better: A more accurate operation whose grid is missing.
        grids: Names of the grids it reads and the sha256 of each.
    """

    definition: str
    description: str
    accuracy_m: float | None = None
    better: str | None = None
    grids: dict[str, str] = Field(default_factory=dict)

    def identity(self) -> dict[str, object]:
        """The fields that are hashed into a run key."""
        return self.model_dump(mode="json")


class ThinningCheck(_Frozen):
    """Evidence for a source's declared thinning from its own heights, collected before a network relies on it.

    Attributes:
        used: The thinning mode in use.
        windows: Windows with evidence.
        log_odds: Median of their natural log-odds of averaging; None if no window has evidence.
    """

    used: Thinning
    windows: int = Field(ge=0)
    log_odds: float | None = None


class SourceRef(_Frozen):
    """A source, its files that touch a tile (in order of priority), and the pinned operation to its horizontal CRS.

    Attributes:
        files: The files; empty if they are many and `listing` replaces them.
        thinning_check: Evidence for the whole source, the same in every tile; None if the thinning is not used.
        listing: Reference to the files if they are stored elsewhere.
    """

    source: Source
    files: tuple[FileRef, ...] = ()
    horizontal: HorizontalOperation | None = None
    thinning_check: ThinningCheck | None = None
    listing: FileListing | None = None

    @model_validator(mode="after")
    def _has_files(self) -> Self:
        if bool(self.files) == (self.listing is not None):
            raise ValueError("a source in a tile has either files or a listing of them")
        return self

    @property
    def files_digest(self) -> str:
        """`listing_digest` of the files, also if `listing` replaces them."""
        return listing_digest(self.files) if self.listing is None else self.listing.sha256

    @property
    def file_count(self) -> int:
        """Number of files, also if `listing` replaces them."""
        return len(self.files) if self.listing is None else self.listing.count

    @property
    def size_bytes(self) -> int:
        """Total size of the files, also if `listing` replaces them."""
        return sum(file.size_bytes for file in self.files) if self.listing is None else self.listing.size_bytes

    @property
    def thinning(self) -> Thinning:
        """The thinning mode in use: the declared one unless the heights contradict it."""
        return self.source.thinning if self.thinning_check is None else self.thinning_check.used

    @property
    def sensor(self) -> SensorModel | None:
        """The source's sensor model, or one with its declared noise; None where neither is known."""
        source = self.source
        if source.sensor is not None or source.noise_m == 0.0:
            return source.sensor
        return SensorModel.declared(source.resolution_m, self.thinning is Thinning.AVERAGED, source.noise_m)
