"""Runs stac-api-validator with the schemas of a folder in place of the network: FOLDER, then its own arguments."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import requests
from pystac.validation import RegisteredValidator
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from requests.adapters import HTTPAdapter

from orograph.stac.documents.items import EXTENSIONS
from orograph.stac.documents.schemas import SchemaLibrary

library = SchemaLibrary(Path(sys.argv.pop(1)))
over_network = HTTPAdapter.send


def send(self: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
    url = str(request.url)
    if url.startswith("http://127.0.0.1"):
        return over_network(self, request, **options)
    answer = requests.Response()
    answer.url, answer.request = url, request
    answer.headers["Content-Type"] = "application/json"
    try:
        answer.status_code, answer._content = 200, json.dumps(library.contents(url)).encode()
    except KeyError:
        answer.status_code, answer._content = 404, b"{}"
    return answer


validator = JsonSchemaSTACValidator()
validator.schema_cache.update({uri: library.contents(uri) for uri in EXTENSIONS})
RegisteredValidator.set_validator(validator)
HTTPAdapter.send = send  # type: ignore[method-assign]

from stac_api_validator.__main__ import main  # noqa: E402 - after the network is replaced

main()
