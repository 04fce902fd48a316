"""The optional last step of a tile: compares it with control points, for the manifest and the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orograph.pipeline.errors import NoOverlap
from orograph.pipeline.job import Job
from orograph.pipeline.validation import ValidationOptions, read_control, validate

KEY = "validation"
"""Name of the figures among a manifest's quality details, and so in `dem:quality` of its STAC item."""


def against_control(job: Job, elevation: Path, grids_dir: Path) -> dict[str, Any]:
    """Compare a finished elevation product with the control points of the settings.

    Args:
        job: The tile's job; `settings.control` is a file of control points.
        elevation: The product; its uncertainty and source index are next to it.
        grids_dir: Folder of the vertical catalogue's grids.

    Returns:
        The document of `Validation.document`; `{"control": name, "overall": {"count": 0}}` where no point is in the
        tile.

    Raises:
        InputError: the file of control points cannot be used.
    """
    path = Path(job.settings.control)
    control = read_control(path)
    options = ValidationOptions(
        frame=job.settings.target_frame,
        control_frame=job.settings.control_frame or None,
        source_names=tuple(ref.source.id for ref in job.sources),
    )
    try:
        return validate([elevation], control, grids_dir, options).document()
    except NoOverlap:
        return {"control": control.name, "overall": {"count": 0}}
