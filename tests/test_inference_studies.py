# ruff: noqa: E402
"""Raw DICOM studies through a detector: NIfTI, detection maps, and the candidates back as DICOM objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

torch = pytest.importorskip("torch", reason="inference needs the extra `train`")
pytest.importorskip("monai", reason="inference needs the extra `train`")

from cv_model_experiments.detection.finder import FinderShape
from cv_model_experiments.detection.model_file import save_model
from cv_model_experiments.detection.settings import DetectionSettings
from cv_model_experiments.detection.task import make_module
from cv_model_experiments.inference import run as infer
from cv_model_experiments.predictions import read_predictions
from tests.detection_sets import detection_settings
from tests.mr_files import mr_dataset, save, uid
from weakbox.imaging.volumes import read_volume_file
from weakbox.records.errors import InputError

SECRET = "Secret^Patient"
ROWS, COLUMNS, SLICES = 24, 28, 10


def write_series(folder: Path, description: str, **tags: Any) -> None:
    rng = np.random.default_rng(len(description))
    series = uid("series", description)
    for number in range(1, SLICES + 1):
        dataset = mr_dataset(
            number,
            SeriesInstanceUID=series,
            SeriesDescription=description,
            Rows=ROWS,
            Columns=COLUMNS,
            PatientID="MRN-4711",
            PatientName=SECRET,
            SeriesNumber=1,
            SliceThickness=3.0,
            **tags,
        )
        values = rng.integers(200, 400, (ROWS, COLUMNS)).astype(np.uint16)
        values[10:16, 4:12] += 900 if 3 <= number <= 6 else 0
        dataset.PixelData = values.tobytes()
        save(dataset, folder / description / f"{number:02d}.dcm")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_series(tmp_path / "dicom", "t2_tse_tra")
    write_series(tmp_path / "dicom", "ep2d_diff_ADC", ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"])
    return tmp_path / "dicom"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An untrained detector whose classification bias lets boxes through: what is tested is where they go."""
    torch.manual_seed(0)
    selection = {"least_score": 0.001, "most": 3}
    settings = DetectionSettings.model_validate(detection_settings(tmp_path, tmp_path, selection=selection))
    shape = FinderShape(axes=3, channels=2, classes=("lesion",), spacing=(3.0, 0.9, 0.7), anchors=((4.0, 6.0, 8.0),))
    module = make_module(settings, shape)
    torch.nn.init.constant_(module.detector.network.classification_head.cls_logits.bias, 0.5)  # type: ignore[union-attr]
    save_model(tmp_path, module, settings, None, ["phantom/x"], 1)
    return tmp_path / "model.pt"


def test_candidates_of_a_raw_study_leave_as_segmentation_and_report(study: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    infer([model], output, None, study, tmp_path / "key", None, ["object_score=0.0"])
    (said,) = read_predictions(output).rows
    assert said.boxes
    (segmentation_path,) = output.glob("cases/*/*_seg_ellipsoid.dcm")
    (report_path,) = output.glob("cases/*/*_sr.dcm")
    segmentation = highdicom.seg.segread(segmentation_path)
    assert segmentation.number_of_segments == len(said.boxes)
    report = highdicom.sr.srread(report_path)
    assert len(report.content.get_volumetric_roi_measurement_groups()) == len(said.boxes)
    sources = {pydicom.dcmread(path).SOPInstanceUID for path in (study / "t2_tse_tra").glob("*.dcm")}
    referenced = {item.ReferencedSOPInstanceUID for item in segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referenced and referenced <= sources


def test_a_candidates_label_map_holds_the_voxels_of_its_box(study: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    infer([model], output, None, study, tmp_path / "key", None, ["object_score=0.0"])
    (said,) = read_predictions(output).rows
    (path,) = output.glob("cases/*/*_label_boxes_instance.nii.gz")
    instances = read_volume_file(path, None).array
    k, j, i = np.nonzero(instances == 1)
    box = said.boxes[0]
    for low, high, start, stop in zip((i.min(), j.min(), k.min()), (i.max(), j.max(), k.max()), box.start, box.stop, strict=True):
        assert low + 0.5 >= start - 1e-3 and high + 0.5 <= stop + 1e-3
        assert low - 0.5 < start + 1e-3 and high + 1.5 > stop - 1e-3


def test_nothing_that_leaves_names_the_patient(study: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    infer([model], output, None, study, tmp_path / "key", None, ["object_score=0.0"])
    left = [path for path in output.rglob("*") if path.is_file() and "index" not in path.relative_to(output).parts[0]]
    assert len(left) > 10
    for path in left:
        assert "4711" not in str(path.relative_to(output))
        content = path.read_bytes()
        assert b"Secret" not in content and b"MRN-4711" not in content, path.name


def test_a_study_without_a_channel_that_the_model_needs_is_left_out_with_the_reason(tmp_path: Path, model: Path) -> None:
    write_series(tmp_path / "dicom", "t2_tse_tra")
    with pytest.raises(InputError, match="no file of channel 'adc'"):
        infer([model], tmp_path / "out", None, tmp_path / "dicom", tmp_path / "key", None, [])
