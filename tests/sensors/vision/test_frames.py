"""What is a whole picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.vision.frames import UnreadablePicture, read_picture
from tests.sensors.vision.pictures import FRAMES, chunk, jpeg, png


def test_real_pictures_and_small_ones() -> None:
    assert (read_picture((FRAMES / "traceback.png").read_bytes()).kind, read_picture(jpeg()).kind) == ("png", "jpeg")
    shot = read_picture((FRAMES / "pytest.jpg").read_bytes())
    assert shot.kind == "jpeg" and 300 < shot.width < 2_000 and 100 < shot.height < 400
    assert read_picture(png(width=30_000, height=20_000)).pixels == 600_000_000
    found = read_picture(jpeg(before=b"\xff\xe0\x00\x04ab\xff\xff\xd0", width=7, height=9) + b"\0" * 10)
    assert (found.width, found.height) == (7, 9)


@pytest.mark.parametrize("name", ["traceback.png", "pytest.jpg"])
def test_a_part_of_a_picture_is_none_yet(name: str) -> None:
    data = (FRAMES / name).read_bytes()
    for share in (0, 1, 10, 50, 90, 99):
        with pytest.raises(UnreadablePicture) as caught:
            read_picture(data[: len(data) * share // 100])
        assert caught.value.partial or share <= 1


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a...", b"<svg/>", b"\x89PNG", b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b"") * 2,
        png(width=0), jpeg(height=0), b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xc0\x00\x00\xff\xd9",
        b"\xff\xd8" + b"\xff" * 200 + b"\xd9", b"\xff\xd8notmarkers\xff\xd9",
    ],
)  # fmt: skip
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(UnreadablePicture):
        read_picture(data)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8"]),
    st.sampled_from([b"", b"\xff\xd9"]),
)
def test_whatever_lies_there_has_a_size_or_is_refused(data: bytes, head: bytes, tail: bytes) -> None:
    try:
        found = read_picture(head + data + tail)
    except UnreadablePicture as error:
        assert str(error)
        return
    assert found.pixels > 0
