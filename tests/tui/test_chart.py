from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from textual.app import App, ComposeResult

from engine.logs import events as ev
from engine.specs.presets import on_rung
from engine.states.replay import replay
from engine.states.state import RunState
from tests.tui import logs
from tests.tui.conftest import text_of
from tui.drawing import curves
from tui.drawing.plot import LABEL_WIDTH, Curves, Series, decades, draw, legend, steps, thinned, ticks
from tui.drawing.theme import BLUE, GREY
from tui.widgets import chart
from tui.widgets.chart import Chart


def rows(text: object) -> list[str]:
    return [row.rstrip() for row in str(text).split("\n")]


def rising(epochs: int = 3) -> Curves:
    points = tuple((float(epoch), epoch / epochs) for epoch in range(1, epochs + 1))
    return Curves("accuracy", (Series("val", points, BLUE, value="100.0 %"),), (1, epochs), (0, 1), "{:.0%}".format)


def test_a_rising_line() -> None:
    assert rows(draw(rising(), 30, 8)) == [
        "accuracy  ━ val 100.0 %",
        "   100%┤                ⢀⣀⠤⠤⠒⠊",
        "       │         ⢀⣀⠤⠤⠒⠊⠉⠁",
        "    50%┤   ⢀⣀⠤⠔⠒⠉⠁",
        "       │⠒⠒⠉⠁",
        "     0%┤",
        "       └┬────────────────────┬",
        "        1                    3",
    ]


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0)])
def test_a_dotted_line_that_is_steep_has_no_gaps(ends: tuple[float, float]) -> None:
    steep = Series("train", ((50.0, ends[0]), (51.0, ends[1])), GREY, "dotted")
    lines = rows(draw(Curves("loss", (steep,), (0, 100), (0, 1), "{:.0%}".format), 40, 12))[1:-2]
    assert all(any("\u2801" <= one <= "\u28ff" for one in line) for line in lines)


def test_an_epoch_that_there_is_not_takes_no_time_to_draw() -> None:
    """As a log may say."""
    run = after(2 * 16)
    one, *others = run.losses
    run = msgspec.structs.replace(run, losses=(msgspec.structs.replace(one, epoch=2**50), *others))
    assert len(rows(draw(curves.loss([run], BLUE), 40, 12))) == 12


def test_in_a_low_chart_every_row_is_of_the_curve() -> None:
    assert rows(draw(rising(), 30, 3)) == [
        "accuracy  ━ val 100.0 %",
        "   100%┤       ⢀⣀⣀⣀⠤⠤⠤⠤⠤⠔⠒⠒⠒⠒⠊",
        "     0%┤⠒⠒⠒⠒⠉⠉⠉⠁",
    ]
    assert draw(rising(), 30, 5).plain.count("┤") == 2 and "└" not in draw(rising(), 30, 5).plain
    assert "└" in draw(rising(), 30, 6).plain


@pytest.mark.parametrize(("width", "height"), [(20, 5), (37, 13), (56, 7), (116, 15), (16, 4)])
def test_it_has_exactly_the_size_asked_for(width: int, height: int) -> None:
    lines = draw(rising(), width, height).split("\n")
    assert len(lines) == height
    assert max(line.cell_len for line in lines) <= width


def test_too_small_or_empty_is_words_not_a_mess() -> None:
    empty = Curves("loss", (Series("val", (), BLUE),), (1, 5), (0, 1), str, empty="nothing yet")
    lines = rows(draw(empty, 40, 7))
    assert len(lines) == 7 and lines[0] == "loss  ━ val"
    assert [line.strip() for line in lines if line][1:] == ["nothing yet"]
    assert rows(draw(rising(), 5, 7))[0] == "accur"


def test_a_single_epoch_is_a_dot() -> None:
    one = Curves("loss", (Series("val", ((1.0, 0.5),), BLUE),), (1, 5), (0, 1), str)
    assert str(draw(one, 40, 8)).count("•") == 1


@pytest.mark.parametrize(
    "made",
    [
        lambda run: curves.accuracy([run], BLUE),
        lambda run: curves.loss([run], BLUE),
        lambda run: curves.together([("one", [run])]),
        curves.learning_rate,
    ],
)
def test_of_a_run_of_one_epoch_only_that_one_is_at_the_axis(made: Callable[[RunState], Curves]) -> None:
    (run, *_) = replay(logs.events(logs.two_strategies(1))).runs
    assert rows(draw(made(run), 60, 9))[-1].split() == ["1"]


def test_the_learning_rate_falls_in_steps() -> None:
    run = replay(logs.until("EpochFinished", 6, logs.events())).runs[0]
    rates = curves.learning_rate(run)
    past, planned = rates.series
    assert rates.x == curves.accuracy([run], BLUE).x == (1, 12), "so that an epoch is above itself"
    assert past.points == steps(run.learning_rates[:7], rates.x) and past.line == "solid"
    assert planned.points == steps(run.learning_rates[7:], rates.x, 8) and planned.line == "dotted"
    assert (past.points[0], past.points[-1][0], planned.points[0][0], planned.points[-1][0]) == (
        (1.0, run.learning_rates[0]), 7.5, 7.5, 12.0,
    )  # fmt: skip
    drawn = rows(draw(rates, 60, 10))
    levels = [row[LABEL_WIDTH + 1 :].strip() for row in drawn[1:-2]]
    flat = [level for level in levels if len(level) > 8]
    assert len(flat) == 4  # 12 epochs, divided by ten after every third: no slope anywhere
    assert [label.strip() for label in (row[:LABEL_WIDTH] for row in drawn[1:-2]) if label.strip()] == [
        "1e-03",
        "1e-04",
        "1e-05",
        "1e-06",
    ]


def after(losses: int, epochs: int = 12) -> RunState:
    """The first run of slow epochs, once so many losses of its steps, 16 an epoch, are known."""
    return replay(logs.until("LossMeasured", losses, logs.slow_epochs(logs.two_strategies(epochs)))).runs[0]


def test_training_loss_within_epochs_is_a_curve_of_time_on_which_validation_stands_at_the_end_of_an_epoch() -> None:
    run = after(2 * 16 + 9)
    chart = curves.loss([run], BLUE)
    train, val = chart.series
    assert [x for x, _ in train.points] == pytest.approx([(number + 0.5) / 16 for number in range(2 * 16 + 9)])
    assert [y for _, y in train.points] == [point.loss for point in run.losses]
    assert val.points == ((1.0, run.epochs[0].val.loss), (2.0, run.epochs[1].val.loss))
    assert train.value == f"{run.epochs[1].train.loss:.3f}", "of an epoch, as that of validation is"
    accuracy, rates = curves.accuracy([run], BLUE), curves.learning_rate(run)
    assert [x for x, _ in accuracy.series[0].points] == [0.5, 1.5], "a mean over an epoch is in its middle"
    assert [x for x, _ in accuracy.series[1].points] == [1.0, 2.0]
    assert (rates.series[0].points[0][0], rates.series[0].points[-1][0], rates.series[1].points[-1][0]) == (0, 3, 12)
    assert chart.x == accuracy.x == rates.x == curves.gap([run]).x == (0, 12)
    assert rows(draw(chart, 60, 10))[-1].split() == ["0", "3", "6", "9", "12"]
    assert curves.together([("one", [run])]).x == (1, 12), "beside others that have no such curve"
    assert max(y for _, y in train.points) <= chart.y[1]


def test_the_first_epoch_has_all_of_the_axis_until_it_has_ended() -> None:
    run = after(9)
    chart = curves.loss([run], BLUE)
    assert (chart.x, chart.series[0].line, chart.series[0].value) == ((0, 1), "solid", f"{run.losses[-1].loss:.3f}")
    assert len(chart.series[0].points) == 9 and "nothing yet" not in str(draw(chart, 40, 9))
    (with_val,) = [after(17)]
    assert (curves.loss([with_val], BLUE).x, curves.loss([with_val], BLUE).series[0].line) == ((0, 12), "dotted")


def test_an_epoch_without_losses_within_it_has_its_mean_in_its_middle() -> None:
    run = after(3 * 16)
    run = msgspec.structs.replace(run, losses=tuple(loss for loss in run.losses if loss.epoch != 2))
    points = curves.loss([run], BLUE).series[0].points
    assert [point for point in points if 1 <= point[0] < 2] == [(1.5, run.epochs[1].train.loss)]
    assert list(points) == sorted(points)


def test_a_run_that_was_stopped_within_an_epoch_shows_how_far_it_came() -> None:
    run = msgspec.structs.replace(after(2 * 16 + 9), status="stopped")
    assert curves.loss([run], BLUE).x == curves.accuracy([run], BLUE).x == (0, 3)
    run = msgspec.structs.replace(after(9), status="stopped")
    assert curves.loss([run], BLUE).x == curves.accuracy([run], BLUE).x == (0, 1)
    assert curves.accuracy([run], BLUE).empty == "nothing was measured"


def test_of_several_runs_means_of_epochs_are_compared() -> None:
    run = after(2 * 16 + 9)
    without = msgspec.structs.replace(run, losses=())
    assert curves.loss([run, run], BLUE) == curves.loss([without, without], BLUE)
    assert curves.accuracy([run, run], BLUE) == curves.accuracy([without, without], BLUE)


def test_what_a_chart_is_made_of_changes_with_a_loss_only_where_it_shows_it() -> None:
    one, other = after(2 * 16 + 9), after(2 * 16 + 10)
    made_of = [made(one) == made(other) for _, made in curves.CHARTS]
    assert made_of == [True, False, True, True]
    none = msgspec.structs.replace(one, losses=())
    assert [made(one) == made(none) for _, made in curves.CHARTS] == [False, False, False, True]


def test_memory_of_a_card_has_its_four_kinds_and_of_a_process_one() -> None:
    card = curves.memory(replay(logs.events(cuda=True)).runs[0], BLUE)
    assert [series.name for series in card.series] == ["device", "reserved", "peak", "allocated"]
    assert str(legend(card, 56)) == "memory  ┄ device  ┄ reserved  ━ peak  ━ allocated"
    process = curves.memory(replay(logs.events()).runs[0], BLUE)
    unmeasured = msgspec.structs.replace(replay(logs.events()).runs[0], memory=())
    assert curves.memory(unmeasured, BLUE).empty == "nothing was measured"
    assert [series.name for series in process.series] == ["process RSS"]
    assert str(legend(process, 56)) == "memory  ━ process RSS 1.4 GiB, peak 1.4 GiB"


def test_of_a_run_that_was_skipped_before_it_began_charts_say_so() -> None:
    begun = logs.until("EpochFinished", 1, logs.events())
    (_, waiting) = replay(begun).runs
    skipped = ev.RunFinished(run=waiting.run, end="skipped", memory=ev.Memory(1, 1))
    (_, run) = replay([*begun, skipped]).runs
    made = [chart(run, BLUE) for chart, _ in curves.CHARTS]
    assert [one.empty for one in made] == ["skipped before it started"] * 4
    probe = msgspec.structs.replace(run, strategy=on_rung("resnet18", "probe"))
    assert curves.learning_rate(probe).empty == "skipped before it started"


def test_the_legend_gives_way() -> None:
    series = (Series("train", (), GREY, "dotted", "90.6 %"), Series("val", (), BLUE, value="93.5 %"))
    wide = Curves("accuracy", series, (1, 2), (0, 1), str)
    assert [str(legend(wide, width)) for width in (60, 37, 30, 18, 5)] == [
        "accuracy  ┄ train 90.6 %  ━ val 93.5 %",
        "accuracy ┄ train 90.6 % ━ val 93.5 %",
        "accuracy  ┄ train  ━ val",
        "accuracy",
        "accur",
    ]


def test_strategies_that_have_no_room_in_the_legend_are_cut_or_told_by_dots() -> None:
    names = ("resnet18-finetune", "mobilenetv3-extract", "val")
    curves = Curves("accuracy", tuple(Series(name, (), BLUE) for name in names), (1, 2), (0, 1), str)
    assert [str(legend(curves, width)) for width in (60, 50, 30, 20)] == [
        "accuracy  ━ resnet18-finetune  ━ mobilenetv3-extract  ━ val",
        "accuracy  ━ resnet…netune  ━ mobile…xtract  ━ val",
        "accuracy  ━ resnet1…finetune …",
        "accuracy",
    ]


def test_thinning_keeps_the_extremes() -> None:
    points = [(float(x), 0.0) for x in range(10_000)]
    points[4321] = (4321.0, 9.0)
    kept = thinned(points, 50)
    assert len(kept) <= 100 and (4321.0, 9.0) in kept and kept == sorted(kept)
    assert thinned(points[:20], 50) == points[:20]


def test_ticks_are_whole_and_hold_both_ends() -> None:
    assert ticks(1, 25, 5) == [1, 7, 13, 19, 25]
    assert ticks(1, 12, 5) == [1, 4, 7, 12]
    assert ticks(1, 2, 5) == [1, 2]
    assert ticks(0, 5, 4) == [0, 1, 2, 3, 4, 5] and ticks(0, 11, 4) == [0, 4, 8, 11], "evenly where that can be"
    assert ticks(0, 2**53, 5) == [part * 2**51 for part in range(5)], "at once, whatever a log tells of"
    assert ticks(0, 1000, 5) == [0, 250, 500, 750, 1000]
    assert decades(-6.2, -2.9) == [-6, -5, -4, -3]
    assert len(decades(-30, 0)) <= 5


def test_axes_change_seldom() -> None:
    assert [curves.rounded_up(value) for value in (0.81, 0.9, 1.0, 1.2, 0.05, 0)] == [1.0, 1.0, 1.0, 1.5, 0.05, 1.0]


async def test_it_is_drawn_again_only_when_its_curves_change(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Curves] = []
    real = draw
    monkeypatch.setattr(chart, "draw", lambda shown, *size: drawn.append(shown) or real(shown, *size))
    widget = Chart(rising())

    class Alone(App[None]):
        def compose(self) -> ComposeResult:
            yield widget

    async with Alone().run_test(size=(60, 20)) as pilot:
        before = len(drawn)
        widget.curves = rising()
        await pilot.pause()
        assert len(drawn) == before
        widget.curves = rising(4)
        await pilot.pause()
        assert len(drawn) == before + 1
        (series,) = rising(4).series
        widget.curves = replace(rising(4), series=(replace(series, value="99.0 %"),))
        await pilot.pause()
        assert len(drawn) == before + 1, "of a legend no canvas is drawn"
        assert rows(widget.render()) == rows(real(widget.curves, *widget.content_size))
        assert "99.0 %" in text_of(pilot.app)
        await pilot.resize_terminal(50, 20)
        await pilot.pause()
        assert len(drawn) == before + 2
