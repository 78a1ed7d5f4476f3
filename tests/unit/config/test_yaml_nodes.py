"""The YAML reader: values with their lines, and what it rejects."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_app.config.yaml_nodes import YamlProblemError, line_of, read_yaml, values_of

BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.yaml"


def test_values_come_with_their_lines(path: Path) -> None:
    path.write_text("mode: live\nchannels:\n  team:\n    port: 80\n    old: [a, b]\n", encoding="utf-8")
    values, lines = values_of(read_yaml(path))
    assert values == {"mode": "live", "channels": {"team": {"port": 80, "old": ["a", "b"]}}}
    assert lines["channels", "team", "port"] == 4
    assert line_of(("channels", "team", "missing"), lines) == 3
    assert line_of(("missing",), lines) == 1


def test_an_empty_file_has_no_values(path: Path) -> None:
    path.write_text("# nothing\n", encoding="utf-8")
    assert values_of(read_yaml(path)) == (None, {})


@pytest.mark.parametrize(
    ("text", "line", "field", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a", "is given twice"),
        ("a:\n  - b: 1\n    b: 2\n", 3, "a[0].b", "is given twice"),
        ("a: [", 1, "", "is not YAML"),
        ("a: &x [1]\nb: *x\n", 1, "b", "is used again by an alias"),
        (BOMB, 1, "b[0]", "is used again by an alias"),
        ("a: &x [*x]\n", 1, "a[0]", "is used again by an alias"),
        ("[" * 5_000, 1, "", "is not YAML"),
        ("#" * 1_000_001, 1, "", "is too large"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(path: Path, text: str, line: int, field: str, problem: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(YamlProblemError, match=problem) as caught:
        read_yaml(path)
    assert (caught.value.line, caught.value.field) == (line, field) or problem == "is not YAML"


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.system [id]\n", "a: !own x\n"])
def test_tags_are_not_executed(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    root = read_yaml(path)
    if "own" in text:
        with pytest.raises(YamlProblemError, match="is not YAML"):
            values_of(root)
    else:
        assert values_of(root)[0] == {"a": ["id"]}


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(YamlProblemError, match="cannot be opened: No such file"):
        read_yaml(path)
