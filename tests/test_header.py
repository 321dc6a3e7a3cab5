"""The quick header reader: the same values as pydicom, faster, and no file that breaks it."""

from __future__ import annotations

import gzip
import io
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.mr_files import SHARED_DATA, mr_dataset, needs_shared, save, write_mr
from weakbox.imaging import header as header_module
from weakbox.imaging.csa import read_csa_numbers
from weakbox.imaging.header import read_headers, read_headers_from
from weakbox.imaging.header_fields import STANDARD_FIELDS, Kind
from weakbox.imaging.header_pydicom import read_with_pydicom
from weakbox.imaging.header_reading import Header, SkipReason


class Bytes:
    """A byte source in memory."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def read_at(self, position: int, count: int) -> bytes:
        return self.content[position : position + count]

    def read_all(self) -> bytes:
        return self.content


def expected_values(dataset: Dataset) -> Header:
    """What pydicom's own decoding of every standard attribute gives, without the code under test."""
    expected: Header = {}
    for field in STANDARD_FIELDS:
        if field.tag not in dataset or field.name in ("patient_age", "patient_birth_date"):
            continue
        value = dataset[field.tag].value
        parts = list(value) if isinstance(value, MultiValue | list) else [value]
        if field.kind is Kind.TEXT:
            text = "\\".join(str(part) for part in parts).strip(" \0") if value is not None else ""
            if text:
                expected[field.name] = text
        elif parts and parts[0] not in (None, ""):
            numbers = tuple(float(part) for part in parts)
            whole = int(numbers[0]) if field.kind is Kind.INTEGER else numbers[0]
            expected[field.name] = numbers if field.kind is Kind.NUMBERS else whole
    return expected


def standard(header: Header) -> Header:
    names = {field.name for field in STANDARD_FIELDS}
    return {name: value for name, value in header.items() if name in names}


def rich_dataset() -> Dataset:
    """Nested sequences, private blocks, text of every kind."""
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.3"
    item.ReferencedSOPInstanceUID = "1.2.3.4"
    inner = Dataset()
    inner.CodeValue = "T-1"
    item.PurposeOfReferenceCodeSequence = Sequence([inner, Dataset()])
    dataset = mr_dataset(
        7,
        SpecificCharacterSet="ISO_IR 192",
        StudyDescription="MR prostaat, Prüfung ünï",
        SeriesDescription=" ep2d_diff µ ",
        ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"],
        ScanningSequence=["EP", "SE"],
        SequenceName="*ep_b800t",
        EchoTime="63.5",
        RepetitionTime="2700",
        SeriesNumber=6,
        DiffusionBValue=800.0,
        DiffusionGradientOrientation=[0.5, -0.25, 0.125],
        PatientAge="063Y",
        AccessionNumber="",
        SmallestImagePixelValue=0,
        ReferencedImageSequence=Sequence([item, item]),
    )
    siemens = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    siemens.add_new(0x0C, "IS", "800")
    dataset.private_block(0x2001, "OTHER MAKER", create=True).add_new(0x03, "LO", "no b-value")
    philips = dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
    philips.add_new(0x03, "FL", 800.0)
    return dataset


SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("has_open_sequences", [False, True])
def test_all_values_agree_with_pydicom_in_every_uncompressed_syntax(tmp_path: Path, syntax: str, has_open_sequences: bool) -> None:
    dataset = rich_dataset()
    dataset["ReferencedImageSequence"].is_undefined_length = has_open_sequences
    for item in dataset.ReferencedImageSequence:
        item.is_undefined_length_sequence_item = has_open_sequences
    path = save(dataset, tmp_path / "image", syntax)
    (header,) = read_headers(path).headers
    assert standard(header) == expected_values(pydicom.dcmread(path))
    assert header["patient_age_years"] == 63.0
    assert header["siemens_b_value"] == 800.0


def test_private_values_are_found_in_the_block_that_their_creator_reserved(tmp_path: Path) -> None:
    path = save(rich_dataset(), tmp_path / "image")
    (header,) = read_headers(path).headers
    assert pydicom.dcmread(path)[0x20011103].value == 800.0
    assert header["philips_b_value"] == 800.0


def test_a_private_value_of_another_maker_is_not_taken(tmp_path: Path) -> None:
    dataset = mr_dataset()
    dataset.private_block(0x2001, "OTHER MAKER", create=True).add_new(0x03, "FL", 123.0)
    (header,) = read_headers(save(dataset, tmp_path / "image")).headers
    assert "philips_b_value" not in header


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_data_set_without_preamble_is_read(tmp_path: Path, syntax: str) -> None:
    dataset = mr_dataset()
    path = save(dataset, tmp_path / "image", syntax, preamble=False)
    assert path.read_bytes()[128:132] != b"DICM"
    (header,) = read_headers(path).headers
    assert standard(header) == expected_values(dataset)


def test_the_age_follows_from_the_birth_date_where_it_is_not_stated(tmp_path: Path) -> None:
    path = write_mr(tmp_path / "image", PatientBirthDate="19500615", StudyDate="20200614")
    (header,) = read_headers(path).headers
    assert header["patient_age_years"] == pytest.approx(70.0, abs=0.01)
    assert "patient_birth_date" not in header


def test_an_implausible_age_is_not_stated(tmp_path: Path) -> None:
    path = write_mr(tmp_path / "image", PatientAge="000Y", PatientBirthDate="19000101", StudyDate="20240101")
    assert "patient_age_years" not in read_headers(path).headers[0]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "not_dicom"), (b"patient,age\n1,2\n" * 40, "not_dicom"), (b"\0" * 4096, "not_dicom")]
)
def test_other_files_are_no_dicom(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert read_headers(path).skipped == reason


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    reading = read_headers(tmp_path / "absent")
    assert (reading.skipped, reading.detail) == (SkipReason.UNREADABLE, "No such file or directory")


def test_an_image_object_without_pixels_and_a_segmentation_are_no_images(tmp_path: Path) -> None:
    bare = mr_dataset()
    del bare.PixelData
    assert read_headers(save(bare, tmp_path / "bare")).skipped == SkipReason.NOT_IMAGE
    segmentation = mr_dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG")
    reading = read_headers(save(segmentation, tmp_path / "seg"))
    assert (reading.skipped, reading.detail) == (SkipReason.NOT_IMAGE, "SOP class 1.2.840.10008.5.1.4.1.1.66.4")


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("contents")
    return {str(syntax): save(rich_dataset(), folder / str(n), syntax).read_bytes() for n, syntax in enumerate(SYNTAXES)}


@settings(max_examples=120, deadline=None)
@given(share=st.floats(0, 0.999), syntax=st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian]))
def test_a_cut_file_never_passes_for_a_whole_one(contents: dict[str, bytes], share: float, syntax: str) -> None:
    content = contents[syntax]
    reading = read_headers_from(Bytes(content[: int(share * len(content))]))
    assert not reading.headers
    assert reading.skipped is not None


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_no_damage_raises(contents: dict[str, bytes], data: st.DataObject) -> None:
    content = bytearray(contents[data.draw(st.sampled_from([str(syntax) for syntax in SYNTAXES]))])
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    reading = read_headers_from(Bytes(bytes(content)))
    assert bool(reading.headers) == (reading.skipped is None)


@settings(max_examples=100, deadline=None)
@given(tail=st.binary(max_size=600), head=st.sampled_from([b"", b"\0" * 128 + b"DICM", b"\x08\0\x05\0CS\x04\0", b"\x02\0\0\0UL\x04\0"]))
def test_no_bytes_raise(tail: bytes, head: bytes) -> None:
    assert not read_headers_from(Bytes(head + tail)).headers


def test_a_value_beyond_the_first_window_is_read(tmp_path: Path) -> None:
    dataset = mr_dataset()
    dataset.private_block(0x0009, "LARGE", create=True).add_new(0x01, "OB", b"x" * 400_000)
    dataset.private_block(0x0019, "LARGE", create=True).add_new(0x0C, "OB", b"y" * 50_000)
    path = save(dataset, tmp_path / "image")
    (header,) = read_headers(path).headers
    assert standard(header) == expected_values(pydicom.dcmread(path))


def test_a_long_open_sequence_is_skipped_across_windows(tmp_path: Path) -> None:
    items = []
    for number in range(3000):
        item = Dataset()
        item.ReferencedSOPInstanceUID = f"1.2.3.{number}"
        item.is_undefined_length_sequence_item = True
        items.append(item)
    dataset = mr_dataset(ReferencedImageSequence=Sequence(items))
    dataset["ReferencedImageSequence"].is_undefined_length = True
    path = save(dataset, tmp_path / "image")
    (header,) = read_headers(path).headers
    assert standard(header) == expected_values(pydicom.dcmread(path))


def enhanced_dataset() -> Dataset:
    """Two b-values at three positions, in one multi-frame file whose frames are not in the order of space."""
    dataset = mr_dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1", NumberOfFrames=6, ImagePositionPatient=None, PixelSpacing=None)
    dataset.EchoPulseSequence = "SPIN"
    dataset.EchoPlanarPulseSequence = "YES"
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [1.5, 1.25]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for b_value, z in [(0.0, 8.0), (1400.0, 8.0), (0.0, 0.0), (1400.0, 0.0), (0.0, 4.0), (1400.0, 4.0)]:
        frame, position, diffusion = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [1.0, 2.0, z]
        diffusion.DiffusionBValue = b_value
        diffusion.DiffusionDirectionality = "ISOTROPIC" if b_value else "NONE"
        frame.PlanePositionSequence = Sequence([position])
        frame.MRDiffusionSequence = Sequence([diffusion])
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return dataset


def test_every_frame_of_an_enhanced_image_has_its_own_header(tmp_path: Path) -> None:
    headers = read_headers(save(enhanced_dataset(), tmp_path / "enhanced")).headers
    assert [header["frame"] for header in headers] == [1, 2, 3, 4, 5, 6]
    assert [(header["position"], header["diffusion_b_value"]) for header in headers][:2] == [
        ((1.0, 2.0, 8.0), 0.0),
        ((1.0, 2.0, 8.0), 1400.0),
    ]
    assert {header["pixel_spacing"] for header in headers} == {(1.5, 1.25)}
    assert {header["scanning_sequence"] for header in headers} == {"EP\\SE"}


def csa_tag(name: bytes, values: list[bytes], offset: int) -> bytes:
    items = b"".join(struct.pack("<4i", offset + len(v), len(v), 77, len(v)) + v + b"\0" * (-len(v) % 4) for v in values)
    return name.ljust(64, b"\0") + struct.pack("<i4siii", len(values), b"DS\0\0", 0, len(values), 77) + items


@pytest.mark.parametrize("is_second_version", [True, False])
def test_both_versions_of_the_csa_header_are_read(is_second_version: bool) -> None:
    # version 1 adds the first tag's number of items to every length
    tags = [(b"EchoLinePosition", [b"64\0"]), (b"B_value", [b"1400\0"]), (b"SliceNormalVector", [b"0.1\0", b"-0.2\0", b"0.97\0"])]
    body = b"".join(csa_tag(name, values, 0 if is_second_version else 1) for name, values in tags)
    start = b"SV10\4\3\2\1" if is_second_version else b""
    raw = start + struct.pack("<II", len(tags), 77) + body
    assert read_csa_numbers(raw) == {"csa_b_value": (1400.0,), "csa_slice_normal": (0.1, -0.2, 0.97)}
    assert read_csa_numbers(raw[:150]) == {}


def shared_dicom_files() -> Iterator[tuple[Path, bytes]]:
    for path in sorted(SHARED_DATA.rglob("*")):
        if path.is_file():
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            if content[128:132] == b"DICM":
                yield path, content


@needs_shared
@pytest.mark.shared
@pytest.mark.slow
def test_every_real_file_reads_as_pydicom_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    through_pydicom: list[Any] = []

    def count(source: Any) -> Any:
        through_pydicom.append(source)
        return read_with_pydicom(source)

    monkeypatch.setattr(header_module, "_read_with_pydicom", count)
    compared = 0
    for path, content in shared_dicom_files():
        reading = read_headers_from(Bytes(content))
        if reading.skipped == SkipReason.INDEX_FILE:
            continue
        assert reading == read_with_pydicom(Bytes(content)), path
        if len(reading.headers) == 1 and "frame" not in reading.headers[0]:
            dataset = pydicom.dcmread(stream(content), stop_before_pixels=True)
            assert standard(reading.headers[0]) == expected_values(dataset), path
            compared += 1
    assert compared >= 280
    assert len(through_pydicom) < 25


def stream(content: bytes) -> io.BytesIO:
    return io.BytesIO(content)


def test_reading_is_faster_than_pydicom(tmp_path: Path) -> None:
    paths = [save(rich_dataset(), tmp_path / str(number)) for number in range(60)]

    def seconds(read: Any) -> float:
        start = time.process_time()
        for path in paths:
            read(path)
        return time.process_time() - start

    ours = min(seconds(read_headers) for _ in range(5))
    theirs = min(seconds(lambda path: pydicom.dcmread(path, stop_before_pixels=True)) for _ in range(3))
    assert ours < theirs
