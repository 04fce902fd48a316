"""The page: plain HTML, CSS and modules, no build step; `vendor/` contains MapLibre with its licence."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
PAGE: Final = FOLDER / "index.html"
