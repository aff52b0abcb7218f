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
label column.

Exit status: 0 done, 1 not everything done, 2 wrong usage or unusable input, 130 ended by Ctrl-C or SIGTERM.
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


@cli.command(short_help="Check the DATA: duplicates, groups in both parts, and more.")
@data_options
@json_option
def check(data: str | None, as_json: bool, **asked: Any) -> int:
    """Check the DATA: duplicates, groups in both parts, what knowing the groups alone would score, and more."""
    from tui.commands.check import print_check

    return print_check(data_of(data, **asked), as_json=as_json)


@cli.command(short_help="Rank backbones on the DATA, before anything trains.")
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
    """Rank backbones on the DATA before anything trains, by LogME and a probe on frozen features."""
    from tui.commands.rank import print_ranking

    source = data_of(data, **asked)
    return print_ranking(source, _named(backbones), weights, device, as_json=as_json)


def _named(backbones: str) -> tuple[str, ...]:
    """The backbones that ``--backbones`` names, each once; ``UserError`` where there are none."""
    from engine.errors import UserError

    named = tuple(dict.fromkeys(name.strip() for name in backbones.split(",") if name.strip()))
    if not named:
        raise UserError("--backbones: name at least one torchvision model")
    return named


@cli.command()
@experiment_options
@click.option("--note", metavar="TEXT", default="", help="A note on it; see `tl-tui note`.")
@json_option
@detach_option
def run(out: Path, note: str, as_json: bool, detach: bool, **asked: Any) -> int:
    """Run the comparison without the app."""
    from tui.commands.run import run_headless, start_detached

    if detach:
        return start_detached(experiment_of(**asked), out, as_json=as_json, note=note)
    return run_headless(experiment_of(**asked), out, as_json=as_json, note=note)


@cli.command(short_help="Resume an experiment exactly where it stopped.")
@click.argument("experiment", required=False)
@json_option
@detach_option
@click.option(
    "--force", is_flag=True, help="Resume even if the images have changed, or another host may be running it."
)
@out_option
def resume(experiment: str | None, as_json: bool, detach: bool, force: bool, out: Path) -> int:
    """Resume an interrupted EXPERIMENT (default: the newest) exactly where it stopped."""
    from tui.commands.find import find_interrupted
    from tui.commands.run import resume_detached, resume_headless

    folder = find_interrupted(experiment, out)
    return (resume_detached if detach else resume_headless)(folder, force=force, as_json=as_json)


@cli.command(short_help="Open an experiment that another process is running, and control it.")
@click.argument("experiment", required=False)
@out_option
def attach(experiment: str | None, out: Path) -> int:
    """Open a running EXPERIMENT (default: the newest) in the app and control it, whichever process runs it."""
    from engine.specs.presets import known_strategies
    from engine.specs.spec import default_experiment
    from tui.commands.find import find_running
    from tui.session import open_app

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("attach needs a terminal; `tl-tui ctl status` does not")
    known = known_strategies()
    return open_app(default_experiment(known), out, find_running(experiment, out))


@cli.command(short_help="Pause, resume, stop or skip without the app, or print the status.")
@click.argument("words", nargs=-1, metavar="[EXPERIMENT] pause|resume|stop|skip [RUN]|status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@out_option
def ctl(words: tuple[str, ...], as_json: bool, out: Path) -> int:
    """Control a running EXPERIMENT (default: the newest) without the app, or print its status.

    `skip` ends the run that is training, or the named RUN; one that is waiting does not start.
    """
    from tui.commands.ctl import ACTIONS, control

    run = words[-1] if words[-2:-1] == ("skip",) and words[-1] not in ACTIONS else None
    *names, action = (words if run is None else words[:-1]) or ("",)
    if action not in ACTIONS or len(names) > 1:
        unknown = f"unknown action {action!r}; " if action and action not in ACTIONS else ""
        said = "|".join(ACTIONS).replace("skip", "skip [RUN]")
        raise click.UsageError(f"{unknown}use `tl-tui ctl [EXPERIMENT] {said}`")
    return control(names[0] if names else None, action, run, out, as_json=as_json)


@cli.command()
@json_option
@out_option
def runs(out: Path, as_json: bool) -> int:
    """List the experiments, newest first."""
    from tui.commands.lists import print_runs

    return print_runs(out, as_json=as_json)


@cli.command(short_help="Write a note on an experiment.")
@click.argument("experiment")
@click.argument("words", nargs=-1, required=True, metavar="TEXT...")
@out_option
def note(experiment: str, words: tuple[str, ...], out: Path) -> int:
    """Write or replace the note on an EXPERIMENT, also while it runs; an empty TEXT removes it."""
    from engine.history.note import write_note
    from tui.commands.find import find_experiment

    write_note(find_experiment(experiment, out), " ".join(words))
    return 0


@cli.command(short_help="Delete experiments: their folders, and the trained networks in them.")
@click.argument("experiments", nargs=-1, required=True, metavar="EXPERIMENT...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Delete even if another host may be running it.")
@out_option
def delete(experiments: tuple[str, ...], yes: bool, force: bool, out: Path) -> int:
    """Delete EXPERIMENTs: folders, or full names in --out. Never one that is running, nor files not made by tl-tui."""
    from tui.commands.delete import delete_experiments

    return delete_experiments(experiments, out, yes=yes, force=force)


@cli.command(short_help="Compare experiments, as a table or a file.")
@click.argument("experiments", nargs=-1, metavar="[EXPERIMENT[:RUN]]...")
@click.option("--positive", metavar="CLASS", help="Of two classes, the positive one (for sensitivity).")
@click.option("--runs", "single_runs", is_flag=True, help="One column per run instead of per strategy.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "csv", "md"]),
    help="Default: table, or by FILE's extension.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE instead of the screen.",
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
    """Compare EXPERIMENTs: folders, or names (or unique prefixes) in --out. Default: the newest.

    Several measured on the same data are shown side by side; EXPERIMENT:RUN is one run of it.
    """
    from tui.commands.compare import print_comparison

    return print_comparison(experiments, format_, output, out, positive=positive, single_runs=single_runs)


@cli.command(short_help="Classify other images with a trained network.")
@click.argument("experiment", metavar="EXPERIMENT[:RUN]")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE|FOLDER...")
@click.option("--format", "format_", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True)
@click.option("--wrong", is_flag=True, help="Only the labelled images it gets wrong, most confident mistakes first.")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1, …")
@out_option
def predict(experiment: str, images: tuple[Path, ...], format_: str, wrong: bool, device: str, out: Path) -> int:
    """Classify other images with a trained network: RUN's, or that of the EXPERIMENT's best run.

    The best run has the highest validation accuracy. Images are prepared as in training. csv and json give the
    probability of every class. If a FOLDER has folders named after the classes, it also reports the accuracy there.
    """
    from tui.commands.predict import print_predictions

    return print_predictions(experiment, images, format_, out, device, wrong=wrong)


@cli.command(short_help="Write a trained network as an ONNX file.")
@click.argument("experiment", metavar="EXPERIMENT[:RUN]")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE.onnx]")
@out_option
def onnx(experiment: str, file: Path | None, out: Path) -> int:
    """Export a trained network as an ONNX file: RUN's, or that of the EXPERIMENT's most accurate run.

    FILE defaults to best.onnx beside the run's best.safetensors; an existing one is replaced. It takes RGB images
    in 0..1 and gives probabilities, and is kept only if onnxruntime gets the same answers from it as PyTorch.
    """
    from tui.commands.onnx import write_onnx

    return write_onnx(experiment, file, out)


@cli.command()
@json_option
def presets(as_json: bool) -> int:
    """List the built-in strategies and your own."""
    from tui.commands.lists import print_presets

    return print_presets(as_json=as_json)


@cli.group(invoke_without_command=True, short_help="Show or clear what is cached for later experiments.")
@click.pass_context
def cache(context: click.Context) -> int:
    """List what is cached for later experiments and its size; `tl-tui cache clear` removes it."""
    if context.invoked_subcommand is not None:
        return 0
    from tui.commands.lists import print_cache

    return print_cache()


@cache.command()
def clear() -> int:
    """Empty the cache; what is needed again is prepared again."""
    from tui.commands.lists import clear_cache

    return clear_cache()


@cli.command(short_help="Show what tl-tui finds on this machine: device, precision, weights.")
@click.option(
    "--backbones",
    metavar="NAME,NAME,…",
    help="torchvision models whose weights to look for.  [default: those in `presets`]",
)
@json_option
def doctor(backbones: str | None, as_json: bool) -> int:
    """Show what tl-tui finds on this machine: versions, device, precision, weights."""
    from tui.commands.lists import print_doctor

    return print_doctor(() if backbones is None else _named(backbones), as_json=as_json)
