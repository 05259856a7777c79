import gzip
import io
import zipfile

import polars as pl
import pytest

from cq.errors import NoSuchFile, UnknownLayout
from cq.ingest.source import Unrecognised, opened

TEXT = b"ts,open\n1,2\n"


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(NoSuchFile, match=r"no\.csv"):
        opened(tmp_path / "no.csv")


def test_wrapping_is_taken_off_whatever_the_name_says(tmp_path):
    (tmp_path / "plain.csv").write_bytes(TEXT)
    (tmp_path / "packed").write_bytes(gzip.compress(TEXT))
    with zipfile.ZipFile(tmp_path / "packed.dat", "w") as archive:
        archive.writestr("inner/bars.csv", TEXT)
    for name, inner in (
        ("plain.csv", "plain.csv"),
        ("packed", "packed"),
        ("packed.dat", "bars.csv"),
    ):
        source = opened(tmp_path / name)
        assert (source.kind, source.name, source.content) == ("delimited", inner, TEXT)
        assert source.columns == ("ts", "open")


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT)
    assert opened(path).columns == ("ts", "open")


def test_parquet_and_feather_are_known_by_their_first_bytes(tmp_path):
    frame = pl.DataFrame({"ts": [1], "open": [2.0]})
    frame.write_parquet(tmp_path / "a.bin")
    frame.write_ipc(tmp_path / "b.bin")
    assert opened(tmp_path / "a.bin").kind == "parquet"
    assert opened(tmp_path / "b.bin").kind == "feather"
    assert opened(tmp_path / "b.bin").columns == ("ts", "open")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('[{"a": 1}]', "json"),
        ('{"a": 1}', "json"),
        ('{\n"a": 1\n}', "json"),
        ('{"a": 1}\n{"a": 2}\n', "lines"),
        ('1723161253937085768 {"a": 1}\n', "lines"),
        ('1618677817.0778: {"a": 1}\n', "lines"),
        ("wss://feed <-> 161867\n", "lines"),
        ("1,2,3\n", "delimited"),
    ],
)
def test_text_is_told_apart_by_how_it_starts(tmp_path, text, kind):
    path = tmp_path / "a"
    path.write_text(text)
    assert opened(path).kind == kind


@pytest.mark.parametrize("content", [b"", b"  \n \n", b"\x89PNG\x00\x01"])
def test_nothing_and_strange_bytes_are_unrecognised(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(Unrecognised):
        opened(path)


def test_a_damaged_wrapping_is_said(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(TEXT * 1000)[:-20])
    with pytest.raises(UnknownLayout, match="cut short or damaged"):
        opened(path)
    path.write_bytes(b"PK\x03\x04 nothing more")
    with pytest.raises(UnknownLayout, match="cut short or damaged"):
        opened(path)
    path.write_bytes(b"PAR1 nothing more")
    with pytest.raises(UnknownLayout, match="damaged parquet"):
        opened(path)


@pytest.mark.parametrize("text", ["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000])
def test_json_nested_without_end_is_said_in_one_line(tmp_path, text):
    path = tmp_path / "a.json"
    for written in (text, f"{text}\n{text}\n"):
        path.write_text(written)
        with pytest.raises(UnknownLayout, match="nested deeper than any table") as caught:
            _ = opened(path).first_record
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"a\r1\r2\r", b"a\r1\r2\r\n", b"a\r1\r2", b"a\r1\r2\n"])
def test_lines_that_end_as_on_an_old_mac_are_lines(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    assert opened(path).content.rstrip() == b"a\n1\n2"


def test_other_line_ends_stay_as_they_are(tmp_path):
    path = tmp_path / "a.csv"
    for text in (b"ts,open\r\n1,2\r\n", b'ts,open\n"1\r",2\n'):
        path.write_bytes(text)
        assert opened(path).content == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_a_mark_of_another_encoding_is_followed(tmp_path, encoding, order):
    path = tmp_path / "a.csv"
    path.write_bytes(("\ufeff" + TEXT.decode()).encode(f"{encoding}-{order}"))
    source = opened(path)
    assert (source.content, source.columns, source.encoding) == (TEXT, ("ts", "open"), encoding)


def test_utf_16_that_lacks_its_mark_or_its_end_is_named(tmp_path):
    path = tmp_path / "a.csv"
    for order in ("le", "be"):
        path.write_bytes(TEXT.decode().encode(f"utf-16-{order}"))
        with pytest.raises(Unrecognised, match=r"looks like UTF-16 .* save it as UTF-8"):
            opened(path)
    path.write_bytes(TEXT.decode().encode("utf-16")[:-1])
    with pytest.raises(UnknownLayout, match="no text in utf-16"):
        opened(path)


def test_a_zip_of_several_files_is_for_unpacking(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT)
    with pytest.raises(UnknownLayout, match="holds 2 files"):
        opened(path)


def test_a_zip_without_a_file_is_no_text(tmp_path):
    path = tmp_path / "a.zip"
    zipfile.ZipFile(path, "w").close()
    with pytest.raises(Unrecognised, match="is a zip without a file; fetch it again"):
        opened(path)


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_an_arrow_stream_is_no_text(tmp_path, wrap):
    path = tmp_path / "a.arrows"
    stream = io.BytesIO()
    pl.DataFrame({"ts": [1], "open": [2.0]}).write_ipc_stream(stream)
    path.write_bytes(wrap(stream.getvalue()))
    with pytest.raises(UnknownLayout, match="is an Arrow stream; write it again as feather or Par"):
        opened(path)


def test_old_feather_is_refused_with_advice(tmp_path):
    path = tmp_path / "a.feather"
    path.write_bytes(b"FEA1....")
    with pytest.raises(UnknownLayout, match="version 2"):
        opened(path)


def test_json_that_is_cut_short_is_said_in_one_line(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2')
    with pytest.raises(UnknownLayout, match="not whole JSON") as caught:
        _ = opened(path).columns
    assert "\n" not in str(caught.value)


def test_what_was_found_is_told_in_words(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,2,3\n")
    assert opened(path).found() == "columns a, b, c"
    path.write_text("1,2,3\n4,5,6\n")
    assert opened(path).found() == "3 columns without a header, 1,2,3"
    path.write_text("[1, 2]")
    assert "json starting [1, 2]" in opened(path).found()


def test_windows_letters_are_read_and_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("Data;Máxima;Preço\n2024-01-01;1;2\n".encode("cp1252"))
    source = opened(path)
    assert (source.columns, source.encoding) == (("Data", "Máxima", "Preço"), "cp1252")
    assert source.found() == "columns Data, Máxima, Preço (separated by ';', text in cp1252)"


@pytest.mark.parametrize("line", ["Preço;São\n".encode(), "é\n".encode() + b"\xe9;\xff\n"])
def test_utf8_stays_utf8_even_where_a_byte_is_damaged(tmp_path, line):
    path = tmp_path / "a.csv"
    path.write_bytes(line)
    assert opened(path).encoding == "utf-8"
    assert opened(path).content == line


def test_an_encoding_that_is_said_is_taken_or_contradicted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("Máxima,x\n1,2\n".encode("utf-16-le"))
    with pytest.raises(Unrecognised, match="UTF-16 text without"):
        opened(path)
    assert opened(path, "utf-16-le").columns == ("Máxima", "x")
    path.write_bytes(b"\xff\n")
    with pytest.raises(UnknownLayout, match="is no text in ascii"):
        opened(path, "ascii")
