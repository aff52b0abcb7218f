"""The commands of ``tl-tui`` and their options. Imports what a command needs only when it runs, so that ``--help``
answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tui.commands.options import (
    data_of,
    data_options,
    detach_option,
    experiment_of,
    experiment_options,
    json_option,
    out_option,
)
from tui.words.ranking import BACKBONES

HELP = """A terminal lab for transfer learning.

\b
tl-tui             the app, on the demo set that tl-tui draws itself
tl-tui DATA        the app, on your images
tl-tui run DATA    the same comparison without the app

`tl-tui app --help` lists the app's options.

DATA is a folder with train/CLASS/* and val/CLASS/*, a folder of class folders, or a CSV file with a path column and a
label column. Exit status: 0 done, 1 not all of it, 2 wrong usage or unusable input, 130 ended by Ctrl-C or SIGTERM.
"""


class AppByDefault(click.Group):
    """A group whose command is ``app`` where the first word is none of its commands: ``tl-tui DATA``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts ``app`` in front of arguments that name no command; a mistyped command is told from DATA."""
        if args and args[0] not in self.commands and args[0].isalpha() and not Path(args[0]).exists():
            if args[0] == "export":
                raise click.UsageError(
                    "there is no command 'export'; `tl-tui compare --format json|csv|md` exports the comparison, "
                    "`tl-tui onnx` a trained network",
                    ctx,
                )
            from difflib import get_close_matches

            meant = get_close_matches(args[0], self.commands, 1)
            if meant:
                raise click.UsageError(
                    f"there is no command or folder {args[0]!r}; did you mean `tl-tui {meant[0]}`?", ctx
                )
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h", "--version")):
            args = ["app", *args]
        return super().parse_args(ctx, args)


@click.group(cls=AppByDefault, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tl-tui", message="tl-tui %(version)s")
def cli() -> None:
    """Only a group; see :data:`HELP`."""


@cli.command(short_help="Open the app (what `tl-tui DATA` does).")
@experiment_options
def app(out: Path, **asked: Any) -> int:
    """Open the app (what `tl-tui DATA` does)."""
    experiment = experiment_of(**asked)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        from tui.commands.run import run_headless

        return run_headless(experiment, out, as_json=False)
    from engine.hosts.tuning import uncollected

    with uncollected():
        from tui.session import open_app

    return open_app(experiment, out, seeks_running=not any(asked.values()))


@cli.command(short_help="Is the DATA sound? Copies, groups in both parts, and more.")
@data_options
@json_option
def check(data: str | None, as_json: bool, **asked: Any) -> int:
    """Is the DATA sound? Images twice, groups in both parts, what knowing groups alone would score, and more."""
    from tui.commands.check import print_check

    return print_check(data_of(data, **asked), as_json=as_json)


@cli.command(short_help="Which backbone suits the DATA? Known before anything trains.")
@data_options
@click.option(
    "--backbones",
    metavar="NAME,NAME,…",
    default=",".join(BACKBONES),
    show_default=True,
    help="torchvision models to rank.",
)
@click.option("--weights", metavar="default|none|DIR|FILE", default="default", help="Pretrained weights.")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1, …")
@json_option
def rank(data: str | None, backbones: str, weights: str, device: str, as_json: bool, **asked: Any) -> int:
    """Which backbone suits the DATA? Ranked before anything trains, by LogME and a probe on frozen features."""
    from tui.commands.rank import print_ranking

    source = data_of(data, **asked)
    return print_ranking(source, _named(backbones), weights, device, as_json=as_json)


def _named(backbones: str) -> tuple[str, ...]:
    """The backbones that ``--backbones`` names, each once; ``SpecError`` where there are none."""
    from engine.specs.toml import SpecError

    named = tuple(dict.fromkeys(name.strip() for name in backbones.split(",") if name.strip()))
    if not named:
        raise SpecError("--backbones: name at least one torchvision model")
    return named


@cli.command()
@experiment_options
@click.option(
    "--note", metavar="TEXT", default="", help="A line about it that tells it from others; see `tl-tui note`."
)
@json_option
@detach_option
def run(out: Path, note: str, as_json: bool, detach: bool, **asked: Any) -> int:
    """Run the comparison without the app."""
    from tui.commands.run import run_headless, start_detached

    if detach:
        return start_detached(experiment_of(**asked), out, as_json=as_json, note=note)
    return run_headless(experiment_of(**asked), out, as_json=as_json, note=note)


@cli.command(short_help="Go on with an experiment exactly where it stood.")
@click.argument("experiment", required=False)
@json_option
@detach_option
@click.option("--force", is_flag=True, help="Go on although the images have changed, or another host may be at it.")
@out_option
def resume(experiment: str | None, as_json: bool, detach: bool, force: bool, out: Path) -> int:
    """Go on with an EXPERIMENT that was interrupted (the newest such if not given), exactly where it stood."""
    from tui.commands.find import find_interrupted
    from tui.commands.run import resume_detached, resume_headless

    folder = find_interrupted(experiment, out)
    return (resume_detached if detach else resume_headless)(folder, force=force, as_json=as_json)


@cli.command(short_help="Show an experiment that another process runs, and control it.")
@click.argument("experiment", required=False)
@out_option
def attach(experiment: str | None, out: Path) -> int:
    """Show an EXPERIMENT in the app and control it, whichever process runs it (the newest that runs if not given)."""
    from engine.specs.presets import known_strategies
    from engine.specs.spec import default_experiment
    from tui.commands.find import find_running
    from tui.session import open_app

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("attach needs a terminal; `tl-tui ctl status` needs none")
    known = known_strategies()
    return open_app(default_experiment(known), out, find_running(experiment, out))


@cli.command(short_help="Pause, resume, stop or skip without a screen, or ask how it stands.")
@click.argument("words", nargs=-1, metavar="[EXPERIMENT] pause|resume|stop|skip [RUN]|status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@out_option
def ctl(words: tuple[str, ...], as_json: bool, out: Path) -> int:
    """Control an EXPERIMENT that runs (the newest such if not given), without a screen, or ask how it stands.

    `skip` ends the run that trains, or the RUN that is named; one that waits does not begin.
    """
    from tui.commands.ctl import ACTIONS, control

    run = words[-1] if words[-2:-1] == ("skip",) and words[-1] not in ACTIONS else None
    *names, action = (words if run is None else words[:-1]) or ("",)
    if action not in ACTIONS or len(names) > 1:
        unknown = f"{action!r} is nothing to do; " if action and action not in ACTIONS else ""
        said = "|".join(ACTIONS).replace("skip", "skip [RUN]")
        raise click.UsageError(f"{unknown}say what to do: `tl-tui ctl [EXPERIMENT] {said}`")
    return control(names[0] if names else None, action, run, out, as_json=as_json)


@cli.command()
@json_option
@out_option
def runs(out: Path, as_json: bool) -> int:
    """List the experiments, newest first."""
    from tui.commands.lists import print_runs

    return print_runs(out, as_json=as_json)


@cli.command(short_help="Write a line about an experiment that tells it from others.")
@click.argument("experiment")
@click.argument("words", nargs=-1, required=True, metavar="TEXT...")
@out_option
def note(experiment: str, words: tuple[str, ...], out: Path) -> int:
    """Write a line about an EXPERIMENT in place of the one it had, also while it runs; an empty TEXT removes it."""
    from engine.folders.note import write_note
    from tui.commands.find import find_experiment

    write_note(find_experiment(experiment, out), " ".join(words))
    return 0


@cli.command(short_help="Delete experiments: their folders, and the trained networks in them.")
@click.argument("experiments", nargs=-1, required=True, metavar="EXPERIMENT...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Delete although another host may be at it.")
@out_option
def delete(experiments: tuple[str, ...], yes: bool, force: bool, out: Path) -> int:
    """Delete EXPERIMENTs: folders, or full names in --out. Never one that runs, nor files that tl-tui did not make."""
    from tui.commands.delete import delete_experiments

    return delete_experiments(experiments, out, yes=yes, force=force)


@cli.command(short_help="Compare what experiments came to, as a table or a file.")
@click.argument("experiments", nargs=-1, metavar="[EXPERIMENT[:RUN]]...")
@click.option("--positive", metavar="CLASS", help="Of two classes, the one that sensitivity is about.")
@click.option("--runs", "single_runs", is_flag=True, help="A column a run instead of one a strategy.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "csv", "md"]),
    help="table if not given, or what FILE's ending says.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write there instead of on the screen.",
)
@out_option
def compare(
    experiments: tuple[str, ...],
    positive: str | None,
    single_runs: bool,
    format_: str | None,
    output: Path | None,
    out: Path,
) -> int:
    """Compare what EXPERIMENTs came to: folders, or (beginnings of) names below --out; the newest if none is given.

    Several that were measured on the same data stand side by side; EXPERIMENT:RUN is one run of it.
    """
    from tui.commands.compare import print_comparison

    return print_comparison(experiments, format_, output, out, positive=positive, single_runs=single_runs)


@cli.command(short_help="What a trained network says of other images.")
@click.argument("experiment", metavar="EXPERIMENT[:RUN]")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE|FOLDER...")
@click.option("--format", "format_", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True)
@click.option("--wrong", is_flag=True, help="Of images with a label only those it gets wrong, its surest first.")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1, …")
@out_option
def predict(experiment: str, images: tuple[Path, ...], format_: str, wrong: bool, device: str, out: Path) -> int:
    """Ask a trained network of other images: that of RUN, or of EXPERIMENT's run with the best validation accuracy.

    Images are seen as the run saw its own. In csv and json with the probability of every class. Where a FOLDER has
    folders named as classes, also how accurate the network is there.
    """
    from tui.commands.predict import print_predictions

    return print_predictions(experiment, images, format_, out, device, wrong=wrong)


@cli.command(short_help="Write a trained network as an ONNX file.")
@click.argument("experiment", metavar="EXPERIMENT[:RUN]")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE.onnx]")
@out_option
def onnx(experiment: str, file: Path | None, out: Path) -> int:
    """Write a trained network as an ONNX file: that of RUN, or of EXPERIMENT's run with the best validation accuracy.

    FILE is best.onnx beside the run's best.safetensors if not given; one that is there is replaced. It takes RGB images
    in 0..1 and gives probabilities, and is kept only where onnxruntime gets the answers from it that PyTorch gives.
    """
    from tui.commands.onnx import write_onnx

    return write_onnx(experiment, file, out)


@cli.command()
@json_option
def presets(as_json: bool) -> int:
    """List the strategies that ship and your own."""
    from tui.commands.lists import print_presets

    return print_presets(as_json=as_json)


@cli.group(invoke_without_command=True, short_help="What was prepared once for later experiments.")
@click.pass_context
def cache(context: click.Context) -> int:
    """List what was prepared once for later experiments, and the room it takes; `tl-tui cache clear` removes it."""
    if context.invoked_subcommand is not None:
        return 0
    from tui.commands.lists import print_cache

    return print_cache()


@cache.command()
def clear() -> int:
    """Remove all of it; what is needed again is prepared again."""
    from tui.commands.lists import clear_cache

    return clear_cache()


@cli.command(short_help="What tl-tui finds on this machine: device, precision, weights.")
@click.option(
    "--backbones",
    metavar="NAME,NAME,…",
    help="torchvision models whose weights to look for.  [default: those of the strategies that `presets` lists]",
)
@json_option
def doctor(backbones: str | None, as_json: bool) -> int:
    """Say what tl-tui finds on this machine: versions, device, precision, weights."""
    from tui.commands.lists import print_doctor

    return print_doctor(() if backbones is None else _named(backbones), as_json=as_json)
