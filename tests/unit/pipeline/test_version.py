"""The software's version is the one that is installed and cited."""

import re
from pathlib import Path

from orograph.pipeline.version import PROCESSING_VERSION, __version__

ROOT = Path(__file__).parents[3]


def test_the_version_is_the_same_wherever_it_is_written():
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert re.search(rf"^version: \"?{re.escape(__version__)}\"?$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert PROCESSING_VERSION >= 6
