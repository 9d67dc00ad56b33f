from __future__ import annotations

import re

import pytest

from nasproxy.data import table
from nasproxy.data.table import read_groups, read_table
from nasproxy.errors import DataError

NAMES = ("a/1.png", "a/2.png", "b/3.png")
ROWS = "image,slide\na/1.png,s1\na/2.png,s2\nb/3.png,s1\n"


@pytest.fixture
def write(tmp_path):
    def to(content, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows(write, start, end):
    path = write(start + end.join(["a,b", "1,2", '"x, y","say ""hi"""', "ä,"]) + end)
    expected = [{"a": "1", "b": "2"}, {"a": "x, y", "b": 'say "hi"'}, {"a": "ä", "b": ""}]
    assert list(read_table(path, ("b",)).values()) == expected


def test_empty_lines_are_no_rows_and_a_field_may_hold_a_line_break(write):
    path = write('a,b\n\n1,"2\n3"\n\n4,5\n')
    assert read_table(path) == {4: {"a": "1", "b": "2\n3"}, 6: {"a": "4", "b": "5"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no rows|no column"),
        ("\n\n", "holds no rows|no column"),
        ("a,b\n", "holds no rows below its heading"),
        ("a,b\n1\n", "line 2 has not 2 fields"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has not 2 fields"),
        ("a;b\n1;2\n", r"no column 'b', only a;b: add it or mend its heading"),
        ("a,c\n1,2\n", "no column 'b', only a, c"),
        ("a,b,a\n1,2,3\n", "names column 'a' twice"),
        ("a,b\n1,2\n".encode("utf-16"), "not a CSV file in UTF-8"),
        ("a,b\nä,2\n".encode("latin-1"), "not a CSV file in UTF-8"),
        (b"a,b\n" + b"x" * 200_000 + b",1\n", "not a CSV file in UTF-8: field larger"),
        (b"PK\x03\x04" + bytes(range(256)), "not a CSV file in UTF-8"),
    ],
    ids=[
        "empty", "blank", "heading alone", "short row", "long row", "semicolons", "column missing",
        "column twice", "utf-16", "latin-1", "huge field", "zip",
    ],
)  # fmt: skip
def test_faults_name_the_file(write, content, message):
    path = write(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path, ("b",))
    assert str(path) in str(caught.value)


def test_missing_folders_and_large_files(tmp_path, write, monkeypatch):
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(DataError, match=f"cannot read {re.escape(str(path))}: .*; check"):
            read_table(path)
    path = write("a,b\n1,2\n")
    monkeypatch.setattr(table, "MAX_CSV_BYTES", 7)
    with pytest.raises(DataError, match="larger than"):
        read_table(path)


def test_bytes_that_are_text_never_end_in_a_traceback(write):
    for content in (
        b"\0",
        b"a\0,b\n1\0,2\n",
        b'"',
        b'a,b\n"',
        b",\n,\n",
        b'"a"x,b\n1,2\n',
        b"\x1a",
    ):
        path = write(content)
        try:
            read_table(path, ("b",))
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "heading", ["image", "Image Name", "file", "filename", "file_name", "path"]
)
@pytest.mark.parametrize("order", ["{0},{1}", "{1},{0}"])
def test_groups_by_the_whole_name(write, tmp_path, heading, order):
    rows = [(heading, "slide"), *(line.split(",") for line in ROWS.split()[1:])]
    write("\n".join(order.format(*row) for row in rows), "g.csv")
    assert read_groups(tmp_path, "g.csv:slide", NAMES) == ("s1", "s2", "s1")


def test_the_first_column_names_the_images_where_none_is_known(write, tmp_path):
    write(ROWS.replace("image", "which"), "g.csv")
    assert read_groups(tmp_path, "g.csv:slide", NAMES) == ("s1", "s2", "s1")


def test_groups_by_the_last_part_of_the_name(write, tmp_path):
    write("image,slide\n1.png,s1\n2.png,s2\n3.png, s1 \n", "sub.csv")
    assert read_groups(tmp_path, "sub.csv:slide", NAMES) == ("s1", "s2", "s1")


def test_the_described_file_needs_no_name(write, tmp_path):
    path = write(ROWS)
    assert read_groups(tmp_path, "slide", NAMES, path) == ("s1", "s2", "s1")
    write(ROWS.replace("s1", "x"), "g.csv")
    assert read_groups(tmp_path, "g.csv:slide", NAMES, path) == ("x", "s2", "x")


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        (ROWS, "slide", "names no file and this data has no CSV.*give FILE.csv:slide"),
        (ROWS, "absent.csv:slide", "cannot read .*absent.csv"),
        (ROWS, "g.csv:slid", "g.csv: unknown column 'slid'.*did you mean 'slide'"),
        (ROWS, "g.csv:", "unknown column ''"),
        (ROWS, "../g.csv:slide", "lies outside"),
        (ROWS, "/etc/passwd:x", "lies outside"),
        (ROWS, "g\0.csv:x", "g"),
        (
            ROWS.replace("b/3.png", "b/4.png"),
            "g.csv:slide",
            "no 'slide' for 1 images, such as 'b/3",
        ),
        (ROWS.replace("s2", " "), "g.csv:slide", "no 'slide' for 1 images, such as 'a/2.png"),
    ],
)
def test_groups_that_are_not_there(write, tmp_path, content, column, message):
    (tmp_path / "data").mkdir()
    write(content, "data/g.csv")
    write(ROWS, "g.csv")
    with pytest.raises(DataError, match=message):
        read_groups(tmp_path / "data", column, NAMES)


def test_a_table_that_is_a_link_out_of_the_folder(write, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "g.csv").symlink_to(write(ROWS))
    with pytest.raises(DataError, match="lies outside"):
        read_groups(tmp_path / "data", "g.csv:slide", NAMES)
    (tmp_path / "data" / "h.csv").symlink_to("h.csv")
    with pytest.raises(DataError, match="cannot read"):
        read_groups(tmp_path / "data", "h.csv:slide", NAMES)


def test_an_image_with_two_groups_is_refused(write, tmp_path):
    write(ROWS + "a/1.png,s9\n", "g.csv")
    with pytest.raises(DataError, match=r"'a/1.png'.*'s1' and 's9'"):
        read_groups(tmp_path, "g.csv:slide", NAMES)
    write(ROWS + "a/1.png,s1\n", "g.csv")  # said twice is said
    assert read_groups(tmp_path, "g.csv:slide", NAMES) == ("s1", "s2", "s1")


def test_last_parts_that_several_images_share_are_refused(write, tmp_path):
    """Each class's folder has its 1.png: one row cannot mean both."""
    write("image,slide\n1.png,s1\n2.png,s2\n", "g.csv")
    with pytest.raises(DataError, match=r"1.png.*'a/1.png' and 'b/1.png'.*whole"):
        read_groups(tmp_path, "g.csv:slide", ("a/1.png", "a/2.png", "b/1.png"))
    write("image,slide\n1.png,s1\nb/1.png,s2\n", "g.csv")  # but here it is clear
    assert read_groups(tmp_path, "g.csv:slide", ("a/1.png", "b/1.png")) == ("s1", "s2")


@pytest.mark.parametrize(
    "content",
    ["image,{x}\nb.png,1\n", "image,who,{x},{x}\n", "image,who\n{x},1\n{x},2\n", "who,{x}\n1,2\n"],
)
def test_messages_stay_readable_whatever_a_file_holds(write, tmp_path, content):
    write(content.replace("{x}", "x" * 60_000), "g.csv")
    with pytest.raises(DataError) as raised:
        read_groups(tmp_path, "g.csv:who", ("a.png",))
    assert 0 < len(str(raised.value)) < 3000
