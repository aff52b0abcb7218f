import pytest

from engine.text import counted, listed, numbers, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ants", "ants"),
        ("two words", "two words"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),
        ("left\u202eright", "left\\u202eright"),
        ("not utf-8: \udcff", "not utf-8: \\udcff"),
        ("Käfer 蟻 🐜", "Käfer 蟻 🐜"),
        ("[red]x[/]", "[red]x[/]"),
    ],
)
def test_what_a_terminal_would_obey_becomes_visible(text: str, expected: str) -> None:
    assert shown(text) == expected
    assert shown(shown(text)) == expected


@pytest.mark.parametrize("limit", [3, 4, 9, 10])
def test_long_text_loses_its_middle(limit: int) -> None:
    line = shown("/data/" + "x" * 50 + "/ants", limit)
    assert len(line) == limit
    assert line.startswith("/")
    assert "…" in line
    assert line.endswith("s")


def test_a_list_names_the_first_and_counts_the_rest() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b\n", "c", "d", "e"]) == "a, b\\n, c and 2 more"


def test_counts_and_ranges_read_as_words_do() -> None:
    assert [counted(count, "pair is", "pairs are") for count in (1, 0, 2000)] == [
        "1 pair is",
        "0 pairs are",
        "2,000 pairs are",
    ]
    assert numbers([0, 1, 2, 3, 5, 7, 8]) == "0 to 3, 5, 7, 8"
    assert numbers([]) == ""
