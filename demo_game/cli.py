"""The command line of the game: `demo-game`.

Every option has a useful default, and every error is one line that says what to do; the exit status is then not 0.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

_COMMANDS: Final = {
    "menu": "cli_menu",
    "host": "cli_table",
    "join": "cli_table",
    "solo": "cli_table",
    "bot": "cli_table",
    "witness": "cli_witness",
    "showcase": "cli_showcase",
    "replay": "cli_files",
    "verify": "cli_files",
    "sim": "cli_sim",
}
"""Each command's module; it is imported when the command is called, so that the window is there at once."""


class _Commands(click.Group):
    """A group that turns what goes wrong into one line and a status."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"demo_game.{_COMMANDS[name]}"), name)
        return command

    def make_context(self, *names: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*names, **extra)
        except click.UsageError as error:
            raise _in_one_line(error) from None

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Take options without a command for those of `menu`: the group itself has none but --help."""
        is_bare = not args or (args[0].startswith("-") and args[0] not in context.help_option_names)
        if is_bare and not context.resilient_parsing:  # which is a shell that asks how the line may go on
            args = ["menu", *args]
        return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except click.UsageError as error:
            raise _in_one_line(error) from None
        except BrokenPipeError:
            raise  # whoever read our lines has read enough
        except OSError as error:
            raise click.ClickException(_one_line(error)) from None
        except Exception as error:
            known = _known(error)
            if known is None:
                raise
            raise click.ClickException(_one_line(known)) from None


def _known(error: Exception) -> Exception | None:
    """Return the error that people can do something about, if this is one or holds one."""
    from failover import FailoverError  # noqa: PLC0415 - whoever raised it has imported it by now

    if isinstance(error, ExceptionGroup):
        part = error.subgroup((FailoverError, OSError))
        return _first(part) if part is not None else None
    return error if isinstance(error, FailoverError) else None


class _WrongCall(click.ClickException):
    exit_code = 2


def _in_one_line(error: click.UsageError) -> click.ClickException:
    """Return the same error without the two lines of usage above it."""
    where = error.ctx.command_path if error.ctx is not None else "demo-game"
    return _WrongCall(f"{error.format_message()} See {where} --help")


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@click.group(
    cls=_Commands,
    subcommand_metavar="[COMMAND] [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
def main() -> None:
    """Hexhold: a hex dice war for 2 to 8 players that outlives its host.

    Without a command it opens the window, with its menu. It then takes the options of the command `menu`, such as
    demo-game --name Ada --size 960x540; demo-game menu --help lists them.
    """
