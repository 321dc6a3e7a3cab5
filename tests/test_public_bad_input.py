"""Public sets in the hands of a hostile user: a sentence instead of a traceback, nothing lost in silence, the rest goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.public_site import PublicSite, Rows, digests, edit_table, only, place_of, renamed, with_cell
from weakbox.datasets_public.searching import dataset_names

HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"
Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "zero_bytes": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "web_page": lambda content: HTML,
}


@pytest.fixture(scope="session")
def healthy_trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("healthy")


@pytest.fixture
def site(tmp_path: Path, healthy_trees: Path) -> PublicSite:
    (tmp_path / "tree").mkdir()
    return PublicSite(tmp_path, healthy_trees)


# Tables --------------------------------------------------------------------------------------------------------------

REQUIRED = [
    ("bcdr", "bcdr_f01_outlines.csv", "classification"),
    ("cbis_ddsm", "mass_case_description_train_set.csv", "pathology"),
    ("cmmd", "CMMD_clinicaldata_revision.xlsx", "classification"),
    ("duke_breast_mri", "Annotation_Boxes.xlsx", "Start Row"),
    ("ham10000", "HAM10000_metadata.csv", "dx"),
    ("inbreast", "INbreast.csv", "Bi-Rads"),
    ("isic_2018", "ISIC2018_Task3_Training_GroundTruth.csv", "MEL"),
    ("isic_2019", "ISIC_2019_Training_GroundTruth.csv", "SCC"),
    ("isic_2020", "ISIC_2020_Training_GroundTruth_v2.csv", "target"),
    ("isic_archive", "metadata.csv", "isic_id"),
    ("picai", "marksheet.csv", "case_ISUP"),
    ("prostate158", "train.csv", "t2"),
    ("prostate_mri_us_biopsy", "Target-Data*.xlsx", "Patient ID"),
    ("prostatex", "ProstateX-Findings-Train.csv", "pos"),
    ("rsna_mammography", "train.csv", "cancer"),
    ("tcga_brca", "brca_tcga_clinical_data.tsv", "Patient ID"),
    ("vindr_mammo", "finding_annotations.csv", "xmin"),
]


def test_every_set_with_a_table_of_columns_is_damaged_here() -> None:
    assert set(dataset_names()) - {name for name, _, _ in REQUIRED} == {"ddsm", "mias"}, "their tables have no header"


@pytest.mark.parametrize(("name", "table", "column"), REQUIRED)
def test_a_missing_column_ends_with_the_file_and_the_columns_that_it_has(site: PublicSite, name: str, table: str, column: str) -> None:
    path = only(site.plant(name), table)
    edit_table(path, renamed(column, "zzz"))
    outcome = site.run(name)
    assert outcome.code == 2
    assert path.name in outcome.said
    assert "zzz" in outcome.said, "the columns that are there are listed"
    (place,) = site.held(name)["places"]
    assert path.name in place["error"]
    assert not (site.dataset / "images.csv").exists()


@pytest.mark.parametrize(
    ("name", "table", "content"),
    [
        ("cmmd", "*.xlsx", b""),
        ("cmmd", "*.xlsx", HTML),
        ("vindr_mammo", "finding_annotations.csv", b""),
        ("vindr_mammo", "finding_annotations.csv", HTML),
        ("inbreast", "INbreast.csv", bytes(range(256))),
        ("inbreast", "INbreast.csv", b"\xef\xbb\xbfFile Name;Laterality;View;Bi-Rads\n1;L\xe7;CC;1\n"),
        ("picai", "ProstateX-mapping.json", b"{"),
        ("mias", "Info.txt", b""),
        ("mias", "Info.txt", HTML),
    ],
)
def test_a_table_that_is_none_is_named(site: PublicSite, name: str, table: str, content: bytes) -> None:
    path = only(site.plant(name), table)
    path.write_bytes(content)
    outcome = site.run(name)
    assert outcome.code == 2
    assert path.name in outcome.said


@pytest.mark.parametrize(
    ("name", "table", "column", "value", "reason"),
    [
        ("bcdr", "bcdr_f01_img.csv", "age", "-99999", "unexpected_value"),
        ("bcdr", "bcdr_f01_outlines.csv", "lw_x_points", " ", "bad_outline"),
        ("bcdr", "bcdr_f01_outlines.csv", "patient_id", " ", "missing_value"),
        ("duke_breast_mri", "Annotation_Boxes.xlsx", "Start Row", -99999, "box_cut"),
        ("duke_breast_mri", "Annotation_Boxes.xlsx", "End Row", "many", "incomplete_row"),
        ("cbis_ddsm", "mass_case_description_train_set.csv", "abnormality id", "inf", "unknown_value"),
        ("cbis_ddsm", "mass_case_description_train_set.csv", "pathology", "PERHAPS", "unknown_value"),
        ("cmmd", "*.xlsx", "Age", -5, "unexpected_value"),
        ("cmmd", "*.xlsx", "classification", "Normal", "unexpected_value"),
        ("ham10000", "HAM10000_metadata.csv", "dx", "acne", "no_class"),
        ("isic_2019", "ISIC_2019_Training_GroundTruth.csv", "NV", "0.7", "unexpected_value"),
        ("picai", "marksheet.csv", "psa", "high", "unexpected_value"),
        ("picai", "marksheet.csv", "case_ISUP", "9", "out_of_range"),
        ("prostate158", "train.csv", "adc", "gone\0.nii.gz", "file_missing"),
        ("rsna_mammography", "train.csv", "age", "1e9", "unexpected_value"),
        ("vindr_mammo", "breast-level_annotations.csv", "breast_birads", "BI-RADS 9", "unexpected_value"),
    ],
)
def test_an_unexpected_value_is_a_remark_that_names_the_row(
    site: PublicSite, name: str, table: str, column: str, value: Any, reason: str
) -> None:
    path = only(site.plant(name), table)
    before = site.held(name)["places"][0]["problems"].get(reason, 0)
    edit_table(path, with_cell(column, value))
    site.run(name)
    rows = [row for row in site.ledger() if row["reason"] == reason]
    assert len(rows) > before
    assert any(f"{path.name}:2" in row["item_id"] or path.name in row["item_id"] or row["detail"] for row in rows)


def test_a_birads_with_its_words_is_the_normal_form_of_vindr(site: PublicSite) -> None:
    site.plant("vindr_mammo")
    assert site.run("vindr_mammo").code == 0
    assert "unexpected_value" not in site.reasons()
    assert {row["label"] for row in site.rows()} - {""}


@pytest.mark.parametrize(
    ("name", "table", "columns"),
    [
        ("rsna_mammography", "train.csv", ("patient_id", "image_id")),
        ("bcdr", "bcdr_f01_img.csv", ("patient_id", "study_id")),
        ("picai", "marksheet.csv", ("patient_id", "study_id")),
        ("prostate158", "train.csv", ("ID",)),
        ("inbreast", "INbreast.csv", ("File Name",)),
        ("prostatex", "ProstateX-Findings-Train.csv", ("fid",)),
    ],
)
def test_identifiers_that_became_decimal_numbers_are_the_same_ones(
    site: PublicSite, name: str, table: str, columns: tuple[str, ...]
) -> None:
    def decimal(rows: Rows) -> Rows:
        for row in rows[1:]:
            for column in columns:
                place = place_of(rows, column)
                row[place] = f"{row[place]}.0" if str(row[place]).isdigit() else row[place]
        return rows

    path = only(site.plant(name), table)
    edit_table(path, lambda rows: rows)
    before = site.held(name)["places"]
    edit_table(path, decimal)
    assert b".0" in path.read_bytes()
    assert site.held(name)["places"] == before


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_any_separator_and_encoding_reads_the_same(site: PublicSite, encoding: str, mark: str) -> None:
    path = only(site.plant("vindr_mammo"), "breast-level_annotations.csv")
    before = site.held("vindr_mammo")["places"]
    path.write_text(path.read_text(encoding="utf-8").replace(",", mark), encoding=encoding)
    assert site.held("vindr_mammo")["places"] == before


STRICT = {
    b"http://schemas.openxmlformats.org/spreadsheetml/2006/main": b"http://purl.oclc.org/ooxml/spreadsheetml/main",
    b"http://schemas.openxmlformats.org/officeDocument/2006/relationships": b"http://purl.oclc.org/ooxml/officeDocument/relationships",
}


def test_a_workbook_in_strict_ooxml_reads_like_one_in_the_usual_form(site: PublicSite) -> None:
    path = only(site.plant("cmmd"), "*.xlsx")
    before = site.held("cmmd")["places"]
    edit_table(path, lambda rows: rows)
    usual = site.held("cmmd")["places"]
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    with zipfile.ZipFile(path, "w") as book:
        for name, content in parts.items():
            for transitional, strict in STRICT.items():
                content = content.replace(transitional, strict)
            book.writestr(name, content)
    assert site.held("cmmd")["places"] == usual == before


def test_line_breaks_inside_cells_of_cbis_are_no_rows(site: PublicSite) -> None:
    path = only(site.plant("cbis_ddsm", 4), "mass_case_description_train_set.csv")
    before = site.held("cbis_ddsm")["places"]

    def broken(rows: Rows) -> Rows:
        places = [place for place, name in enumerate(rows[0]) if str(name).endswith("path")]
        return [rows[0], *([f"{cell}\n" if place in places else cell for place, cell in enumerate(row)] for row in rows[1:])]

    edit_table(path, broken)
    assert site.held("cbis_ddsm")["places"] == before


@pytest.mark.parametrize("column", ["breast_density", "breast density"])
def test_both_spellings_of_cbis_columns_are_read(site: PublicSite, column: str) -> None:
    path = only(site.plant("cbis_ddsm", 4), "mass_case_description_train_set.csv")
    before = site.held("cbis_ddsm")["places"]

    def spelt(rows: Rows) -> Rows:
        place = next(place for place, name in enumerate(rows[0]) if "density" in str(name))
        rows[0][place] = column
        return rows

    edit_table(path, spelt)
    assert site.held("cbis_ddsm")["places"] == before


@pytest.mark.parametrize(
    ("name", "table", "column", "values", "reason"),
    [
        ("cbis_ddsm", "mass_case_description_train_set.csv", "assessment", ("2", "5"), "conflicting_rows"),
        ("cmmd", "*.xlsx", "classification", ("Benign", "Malignant"), "conflicting_labels"),
        ("ham10000", "HAM10000_metadata.csv", "dx", ("nv", "mel"), "conflicting"),
        ("vindr_mammo", "finding_annotations.csv", "finding_birads", ("BI-RADS 3", "BI-RADS 5"), "conflicting_labels"),
        ("vindr_mammo", "breast-level_annotations.csv", "breast_birads", ("BI-RADS 1", "BI-RADS 5"), "conflicting_rows"),
    ],
)
def test_rows_that_contradict_each_other_are_said(
    site: PublicSite, name: str, table: str, column: str, values: tuple[str, str], reason: str
) -> None:
    def doubled(rows: Rows) -> Rows:
        place = place_of(rows, column)
        drawn = next(row for row in rows[1:] if name != "vindr_mammo" or table.startswith("breast") or row[place_of(rows, "xmin")])
        first, second = ([*drawn[:place], value, *drawn[place + 1 :]] for value in values)
        return [rows[0], *(row for row in rows[1:] if row is not drawn), first, second]

    edit_table(only(site.plant(name, 4), table), doubled)
    site.run(name)
    assert [row for row in site.ledger() if row["reason"].startswith(reason)]


@pytest.mark.parametrize(
    ("line", "reason", "cases"),
    [
        ("mdb001 G CIRC B 535 425 197 9", "malformed_row", 5),
        ("mdb001 G CIRC B 535", "malformed_row", 5),
        ("mdb001 G BLOB B 535 425 197", "unexpected_value", 5),
        ("mdb001 G CIRC X 535 425 197", "unexpected_value", 5),
        ("mdb001 G CIRC B", "", 6),
        ("mdb001 G NORM", "", 6),
        ("mdb001 G CIRC B 535 5000 197", "outside_image", 6),
        ("film 1", "image_without_row", 5),
    ],
)
def test_lines_of_mias_of_any_length_are_read_or_said(site: PublicSite, line: str, reason: str, cases: int) -> None:
    path = only(site.plant("mias", 3), "Info.txt")
    lines = path.read_text(encoding="ascii").splitlines()
    path.write_text("\n".join([lines[0], line, *(one for one in lines[1:] if not one.startswith("mdb001"))]), encoding="ascii")
    site.run("mias")
    assert len(site.rows()) == cases
    assert not reason or reason in site.reasons()


def test_origin_of_mias_is_at_the_bottom_left(site: PublicSite) -> None:
    path = only(site.plant("mias", 3), "Info.txt")
    lines = path.read_text(encoding="ascii").splitlines()
    path.write_text("\n".join([lines[0], "mdb001 G CIRC B 300 1000 20", *lines[2:]]), encoding="ascii")
    site.run("mias", export={"exporters": ["nifti"], "images": {"long_side": None}})
    (row,) = [row for row in site.rows() if row["image_id"].endswith("mdb001")]
    assert '"start":[280.0,4.0]' in row["boxes"]


# Images --------------------------------------------------------------------------------------------------------------

IMAGES = [
    ("cmmd", "*.dcm"),
    ("ddsm", "*.png"),
    ("ham10000", "ISIC_*.jpg"),
    ("inbreast", "*.dcm"),
    ("isic_2019", "*.jpg"),
    ("mias", "*.pgm"),
    ("vindr_mammo", "*.dicom"),
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("name", "pattern"), IMAGES)
def test_a_damaged_image_is_a_row_of_the_ledger_and_the_others_go_on(site: PublicSite, name: str, pattern: str, damage: str) -> None:
    path = only(site.plant(name, 2), pattern)
    images = site.held(name)["places"][0]["images"]
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    outcome = site.run(name)
    assert outcome.code == 3, outcome.said
    lost = [row for row in site.ledger() if row["reason"] in ("unreadable", "unreadable_image") and row["outcome"] == "dropped"]
    assert any(path.name in row["item_id"] + row["detail"] or path.stem in row["item_id"] for row in lost)
    assert any(path.parent.name in row["detail"] for row in lost) or name in ("ham10000", "isic_2019"), "one of many files of that name"
    assert "public_ledger.csv" in outcome.said
    assert len(site.rows()) == images - 1


def test_a_set_of_which_every_image_is_damaged_is_an_error(site: PublicSite) -> None:
    for path in site.plant("isic_2019", 2).rglob("*.jpg"):
        path.write_bytes(b"")
    outcome = site.run("isic_2019")
    assert outcome.code == 2
    assert "no image is left" in outcome.said
    assert "unreadable_image" in outcome.said


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_mask_leaves_the_image(site: PublicSite, damage: str) -> None:
    folder = site.plant("cbis_ddsm", 1)
    masks = [path for path in sorted(folder.rglob("*.dcm")) if path.relative_to(folder).as_posix().count("_1/")]
    assert masks
    for path in masks:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    outcome = site.run("cbis_ddsm")
    assert outcome.code == 3
    assert site.reasons()["unreadable_mask"] == len(masks)
    assert len(site.rows()) > 0


@pytest.mark.parametrize(("name", "pattern"), [("picai", "*_t2w.mha"), ("prostate158", "t2.nii.gz"), ("duke_breast_mri", "*.dcm")])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_volume_loses_no_other_study(site: PublicSite, name: str, pattern: str, damage: str) -> None:
    path = only(site.plant(name, 2), pattern)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert site.run(name).code == 3
    assert [row for row in site.ledger() if row["outcome"] == "dropped"]
    assert len(site.rows()) >= 1


def test_images_and_rows_without_each_other_are_counted_and_listed(site: PublicSite) -> None:
    folder = site.plant("isic_2019", 3)
    gone, kept = sorted(folder.rglob("*.jpg"))[:2]
    shutil.copy(kept, kept.with_name("ISIC_7777777.jpg"))
    gone.unlink()
    (place,) = site.held("isic_2019")["places"]
    assert place["problems"]["image_missing"] == place["problems"]["image_without_row"] == 1
    assert site.run("isic_2019").code == 0
    listed = {row["reason"]: row["item_id"] for row in site.ledger()}
    assert gone.stem in listed["image_missing"]
    assert "ISIC_7777777" in listed["image_without_row"]


def test_images_of_another_size_than_the_sets_get_no_box(site: PublicSite) -> None:
    for path in site.plant("mias", 2).rglob("*.pgm"):
        Image.fromarray(np.full((512, 512), 90, np.uint8)).save(path)
    site.run("mias")
    assert site.reasons()["wrong_size"] == 4
    assert {row["boxes"] for row in site.rows()} == {"[]"}


def test_a_link_to_nowhere_is_an_image_that_cannot_be_read(site: PublicSite) -> None:
    path = only(site.plant("isic_2019", 2), "*.jpg")
    path.unlink()
    path.symlink_to("nowhere.jpg")
    assert site.run("isic_2019").code == 3
    assert site.reasons()["unreadable_image"] == 1


# Places --------------------------------------------------------------------------------------------------------------


def test_links_that_lead_in_circles_are_walked_once(site: PublicSite) -> None:
    folder = site.plant("mias", 2)
    before = site.held("mias")["places"]
    (folder / "up").symlink_to("..")
    (folder / "self").symlink_to("self")
    (folder / "all-mias" / "here").symlink_to(".")
    (site.tree / "a").mkdir()
    (site.tree / "b").mkdir()
    (site.tree / "a" / "b").symlink_to("../b")
    (site.tree / "b" / "a").symlink_to("../a")
    assert site.held("mias")["places"] == before
    assert site.run("mias").code == 0


def test_a_set_whose_images_are_linked_from_elsewhere_is_whole(site: PublicSite) -> None:
    folder = site.plant("mias", 2)
    before = site.held("mias")["places"]
    (folder / "all-mias").rename(site.folder / "elsewhere")
    (folder / "all-mias").symlink_to(site.folder / "elsewhere")
    assert site.held("mias")["places"] == before


@pytest.mark.parametrize("name", ["mias", "cbis_ddsm", "isic_2019", "picai"])
def test_a_set_five_folders_deep_with_blanks_and_umlauts_is_found(site: PublicSite, name: str) -> None:
    site.plant(name, 2, "a b/Ä/ö c/d/Meine Daten (1)")
    (place,) = site.held(name)["places"]
    assert place["folder"].endswith("Meine Daten (1)")
    assert site.run(name).code == 0
    assert all((site.dataset / row["image_path"]).is_file() for row in site.rows())


@pytest.mark.parametrize("change", [str.upper, str.lower])
@pytest.mark.parametrize("name", ["bcdr", "cbis_ddsm", "cmmd", "ddsm", "ham10000", "inbreast", "isic_2019", "mias", "vindr_mammo"])
def test_names_in_upper_and_lower_case_are_the_same_names(site: PublicSite, name: str, change: Callable[[str], str]) -> None:
    folder = site.plant(name, 2)
    before = site.held(name)["places"]
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(change(path.name)))
    after = site.held(name)["places"]
    assert [(place["images"], place["classes"], place["error"]) for place in after] == [
        (place["images"], place["classes"], place["error"]) for place in before
    ]


def test_of_two_copies_one_is_read_and_the_other_is_said(site: PublicSite) -> None:
    site.plant("mias", 2, "x/y/z/w/one")
    site.plant("mias", 2, "x/y/z/w/two")
    assert len(site.held("mias")["places"]) == 2
    outcome = site.run("mias")
    assert outcome.code == 0
    assert "1 other_copy" in outcome.said
    assert len(site.rows()) == 4


def test_the_output_of_a_run_is_no_data_set(site: PublicSite) -> None:
    site.plant("isic_2019", 2)
    output = {"folder": "tree/output"}
    command = ["--config", str(site.configuration("isic_2019", output=output))]
    first = site.alone(*command)
    listed = site.held("isic_2019")["places"]
    assert first.code == 0
    assert [place["folder"] for place in listed] == [str(site.tree / "isic_2019")]
    assert listed[0]["problems"] == {}


def without_override() -> list[str]:
    """A prefix under which rights count, for root too."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and setpriv is not there")
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("rights cannot be given up here")
    return words


@pytest.fixture
def closed(site: PublicSite) -> Iterator[Callable[[Path], None]]:
    paths: list[Path] = []

    def close(path: Path) -> None:
        path.chmod(0)
        paths.append(path)

    yield close
    for path in reversed(paths):
        path.chmod(0o755)


def test_folders_and_images_without_rights_are_said_and_the_rest_goes_on(site: PublicSite, closed: Callable[[Path], None]) -> None:
    folder = site.plant("isic_2019", 3)
    (folder / "secret").mkdir()
    before = digests(site.tree)
    closed(only(folder, "*.jpg"))
    closed(folder / "secret")
    outcome = site.alone("--config", str(site.configuration("isic_2019")), before=without_override())
    assert outcome.code == 3, outcome.said
    assert site.reasons()["unreadable_folder"] == site.reasons()["unreadable_image"] == 1
    assert len(site.rows()) > 0
    assert digests(site.tree).items() <= before.items()


def test_a_set_in_a_folder_without_rights_is_absent_and_the_folder_is_named(site: PublicSite, closed: Callable[[Path], None]) -> None:
    closed(site.plant("mias", 1))
    for arguments in (["datasets", "--root", str(site.tree)], ["--config", str(site.configuration("mias"))]):
        outcome = site.alone(*arguments, before=without_override())
        assert f"{site.tree / 'mias'}" in outcome.said
        assert "cannot be listed" in outcome.said
    assert outcome.code == 2


def test_a_table_without_rights_is_named(site: PublicSite, closed: Callable[[Path], None]) -> None:
    table = only(site.plant("mias", 1), "Info.txt")
    closed(table)
    listed = site.alone("datasets", "--root", str(site.tree), "--dataset", "mias", before=without_override())
    assert listed.code == 0
    assert f"{table}: cannot be read" in listed.said
    assert site.alone("--config", str(site.configuration("mias")), before=without_override()).code == 2


def test_a_root_that_cannot_be_written_gives_the_same_bytes(site: PublicSite) -> None:
    site.plant("cmmd", 2)
    command = ["--config", str(site.configuration("cmmd"))]
    assert site.command(*command).code == 0
    first = digests(site.dataset)
    shutil.rmtree(site.folder / "output")
    before = digests(site.tree)
    paths = [site.tree, *site.tree.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & 0o555)
    outcome = site.alone(*command, before=without_override())
    for path in paths:
        path.chmod(path.stat().st_mode | 0o700)
    assert outcome.code == 0, outcome.said
    assert digests(site.dataset) == first
    assert digests(site.tree) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs rights that this user does not have")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("free", [20_000, 600_000])
def test_a_disk_that_fills_up_is_said_and_the_next_run_ends_the_same(site: PublicSite, small_disk: Path, free: int) -> None:
    site.plant("mias", 3)
    output = {"folder": str(small_disk / "output")}
    config = str(site.configuration("mias", output=output))
    assert site.command("--config", config).code == 0
    whole = {name.removeprefix(str(small_disk)): digest for name, digest in digests(small_disk / "output" / "dataset").items()}
    shutil.rmtree(small_disk / "output")
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * (6 * 2**20 - free))
    outcome = site.command("--config", config)
    assert outcome.code == 2, outcome.said
    assert "space" in outcome.said.lower()
    ballast.unlink()
    assert site.command("--config", config).code == 0
    assert {name.removeprefix(str(small_disk)): digest for name, digest in digests(small_disk / "output" / "dataset").items()} == whole


# Choices -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["datasets", "--dataset", "vindr-mamo"], ["simulate-public", "there", "--dataset", "VinDr Mamo"]])
def test_an_unknown_set_is_refused_with_the_nearest_name(site: PublicSite, arguments: list[str]) -> None:
    outcome = site.command(*arguments)
    assert outcome.code == 2
    assert "did you mean 'vindr_mammo'" in outcome.said


def test_a_set_that_is_not_there_names_the_folders(site: PublicSite) -> None:
    outcome = site.run("CMMD")
    assert outcome.code == 2
    assert str(site.tree) in outcome.said


def test_no_set_at_all_is_no_success(site: PublicSite) -> None:
    outcome = site.run()
    assert outcome.code == 2
    assert "no public set" in outcome.said
    assert site.command("report", "--config", str(site.configuration())).code == 2


def test_a_policy_that_leaves_nothing_says_why(site: PublicSite) -> None:
    site.plant("vindr_mammo", 2)
    nothing = {"birads": dict.fromkeys(["0", "1", "2", "3", "4", "4A", "4B", "4C", "5", "6"], "exclude"), "without_tissue": "birads"}
    outcome = site.run("vindr_mammo", labels={"dataset": "hostile", "policy": {"breast": nothing}})
    assert outcome.code == 2, outcome.said
    assert "no image is left" in outcome.said
    assert "left_out.csv" in outcome.said
    assert sum(site.left_out().values()) >= 8
    assert site.run("vindr_mammo").code == 0


def test_a_partial_set_is_used_only_where_that_is_allowed(site: PublicSite) -> None:
    only(site.plant("vindr_mammo", 2), "breast-level_annotations.csv").unlink()
    outcome = site.run("vindr_mammo")
    assert outcome.code == 2
    assert "allow_partial" in outcome.said
    inputs = {"public": {"roots": ["tree"], "datasets": ["vindr_mammo"], "allow_partial": True}}
    assert site.run(inputs=inputs).code == 0


def test_an_official_split_that_tears_copies_apart_loses_the_copy_and_says_so(site: PublicSite) -> None:
    folder = site.plant("isic_2018", 4)
    test, training = (only(folder, f"ISIC2018_Task3_{part}_Input/*.jpg") for part in ("Test", "Training"))
    shutil.copy(test, training)
    assert site.run("isic_2018").code == 0
    parts = {row["image_id"].rpartition("/")[2]: row["split"] for row in site.rows()}
    assert parts[test.stem] == "test"
    assert training.stem not in parts, "a copy of a test image is never trained on"
    assert site.left_out()["official_parts_conflict"] >= 1


def test_a_second_run_gives_the_same_bytes_with_damaged_inputs(site: PublicSite) -> None:
    only(site.plant("isic_2019", 3), "*.jpg").write_bytes(b"")
    assert site.run("isic_2019").code == 3
    first = digests(site.folder / "output" / "dataset") | digests(site.folder / "output" / "private")
    assert site.run("isic_2019").code == 3
    shutil.rmtree(site.dataset)
    shutil.rmtree(site.folder / "output" / "public_store")
    assert site.run("isic_2019").code == 3
    assert digests(site.folder / "output" / "dataset") | digests(site.folder / "output" / "private") == first


def test_clean_removes_nothing_of_the_sets(site: PublicSite) -> None:
    site.plant("isic_2019", 2)
    site.run("isic_2019")
    outcome = site.command("clean", "--yes", "--config", str(site.folder / "configs.yaml"))
    assert outcome.code == 0
    assert not site.dataset.exists()
    assert site.command("report", "--config", str(site.folder / "configs.yaml")).code == 2
    assert site.run("isic_2019").code == 0
