"""Execution requests of OGC API - Processes, part 1: body, preferences, and form of the results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from orograph.infra.service.orders import Inputs

OutputName = Literal["item", "manifest"]
Response = Literal["document", "raw"]

OUTPUTS: Final[dict[OutputName, str]] = {"item": "application/geo+json", "manifest": "application/json"}
"""Media type of each output."""

_QUALIFIERS: Final = frozenset({"value", "mediaType", "encoding", "schema", "format"})
_PREFERENCE: Final = re.compile(r"\s*([\w-]+)\s*(?:=\s*\"?(\d{1,6})\"?)?\s*(?:;.*)?", re.ASCII)


class OutputFormat(BaseModel):
    """Format of an output; each output has one format."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    media_type: str | None = Field(None, alias="mediaType")


class Output(BaseModel):
    """Requested form of an output."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    transmission_mode: Literal["reference"] = Field("reference", alias="transmissionMode")
    format: OutputFormat = OutputFormat()


class Execute(BaseModel):
    """An execution request.

    Attributes:
        inputs: Values, inline or qualified (`{"value": ...}`).
        outputs: Requested outputs; all if omitted. Results are links.
        response: `document` for a JSON object of results, `raw` for `Link` headers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: Inputs
    outputs: dict[OutputName, Output] | None = None
    response: Response = "document"

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_called_back(cls, value: Any) -> Any:
        if isinstance(value, dict) and "subscriber" in value:
            raise ValueError("subscriber: callbacks are not supported; poll the job or read its events")
        return value

    @field_validator("inputs", mode="before")
    @classmethod
    def _unqualified(cls, value: Any) -> Any:
        """Inputs as plain values: clients may qualify each with a media type or schema."""
        return {name: _plain(member) for name, member in value.items()} if isinstance(value, dict) else value

    @field_validator("outputs")
    @classmethod
    def _formats_exist(cls, value: Mapping[OutputName, Output] | None) -> Mapping[OutputName, Output] | None:
        for name, output in (value or {}).items():
            if output.format.media_type not in {None, OUTPUTS[name]}:
                raise ValueError(f"{name} comes as {OUTPUTS[name]} only")
        return value

    @property
    def form(self) -> ResultForm:
        """The form of the results."""
        return ResultForm(self.response, tuple(self.outputs or OUTPUTS))


@dataclass(frozen=True, slots=True)
class ResultForm:
    """Form of the results in a response."""

    response: Response = "document"
    outputs: tuple[OutputName, ...] = tuple(OUTPUTS)


@dataclass(frozen=True, slots=True)
class Preference:
    """Preferences of a `Prefer` header (RFC 7240).

    Attributes:
        wait_s: Longest time to wait for results before answering with the job; 0 to answer at once.
        applied: The preference that is honoured, for `Preference-Applied`; empty without a preference.
    """

    wait_s: float
    applied: str = ""

    @classmethod
    def parse(cls, header: str, longest_s: float) -> Preference:
        """Parse the header; without a preference the request waits, as the standard requires."""
        found = {
            match[1].lower(): match[2]
            for part in header.split(",")
            if (match := _PREFERENCE.fullmatch(part)) is not None
        }
        wait_s = float(found["wait"]) if found.get("wait") else None
        if "respond-async" in found:
            return cls(min(wait_s or 0.0, longest_s), "respond-async")
        if wait_s is not None:
            return cls(min(wait_s, longest_s), f"wait={min(wait_s, longest_s):.0f}")
        return cls(longest_s)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if not isinstance(value, dict):
        return value
    if "href" in value:
        raise ValueError("an input by reference is not fetched; send its value")
    return value["value"] if "value" in value and set(value) <= _QUALIFIERS else value
