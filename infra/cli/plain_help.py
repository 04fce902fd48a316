"""Help pages without types of flags (`--json`, not `--json <bool>`) and without Rich markup, which hides brackets.

Typer 0.29 writes the type of every parameter, flags included, and renders help texts as Rich markup, in which
`orograph[video]` loses its extra.
"""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from typer.core import TyperGroup


class PlainGroup(TyperGroup):
    """The root group; corrects its own help and that of every command below it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _correct(self)

    def get_params(self, ctx: Any) -> Any:
        """Parameters, with the completion flags that Typer appends after construction."""
        found = super().get_params(ctx)
        for parameter in found:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return found


def _correct(command: Any) -> None:
    if command.help:
        command.help = escape(command.help)
    if command.short_help:
        command.short_help = escape(command.short_help)
    for parameter in command.params:
        _correct_parameter(parameter)
    get_help_option = command.get_help_option

    def corrected(context: Any) -> Any:
        option = get_help_option(context)
        if option is not None:
            option.metavar = ""
        return option

    command.get_help_option = corrected
    for below in getattr(command, "commands", {}).values():
        _correct(below)


def _correct_parameter(parameter: Any) -> None:
    if parameter.help:
        parameter.help = escape(parameter.help)
    if getattr(parameter, "is_flag", False):
        parameter.metavar = ""
    elif parameter.metavar is None or parameter.param_type_name == "argument":
        kind = parameter.type_descriptor
        if kind.is_list or kind.is_ranged:  # `<list[str]>`, `<float range>`: the type of one value is enough
            shown = f"<{_one_value(parameter)}>"
            parameter.display_type_rich = lambda ctx=None: shown  # noqa: ARG005 - Typer's signature


def _one_value(parameter: Any) -> str:
    kind = parameter.type_descriptor
    if kind.is_ranged:
        return str(kind.ranged_type_name)
    if kind.is_path:
        return str(kind.path_type)
    return str(parameter.bare_type()).removeprefix("list[").removesuffix("]").lower()
