"""The map page: plain HTML, CSS and JavaScript modules without a build step; `vendor/` contains MapLibre."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
PAGE: Final = FOLDER / "index.html"
