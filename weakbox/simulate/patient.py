"""One simulated patient: reports, biopsy sheet rows, series and images on disk, and the truth about all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from weakbox.records.grid import Point
from weakbox.records.report import ReportType
from weakbox.simulate import words
from weakbox.simulate.anatomy import Gland, box_corners, draw_gland
from weakbox.simulate.course import Biopsy, Course, Region, Study, draw_course
from weakbox.simulate.dicom_series import PROTOCOLS, StudyHeader
from weakbox.simulate.draws import Draws, content_number, content_uid
from weakbox.simulate.facts import RadiologyFacts, radiology_facts, sheet_labels, specimens
from weakbox.simulate.gold import abstained
from weakbox.simulate.imaging_plan import VENDOR_WEIGHTS, ImagingPlan, PlanOptions, SeriesPlan, plan_guidance, plan_study
from weakbox.simulate.reports import (
    CARRIAGE_RETURNS,
    HL7_ESCAPES,
    Layout,
    WrittenReport,
    styles,
    write_other,
    write_pathology,
    write_radiology,
)

Row = dict[str, Any]

LAYOUTS = {
    "north": Layout(replacements={}),
    "harbour": Layout(replacements=CARRIAGE_RETURNS),
    "university": Layout(replacements=HL7_ESCAPES),
}
SHEET_FRAMES = {"north": "LPS", "harbour": "RAS", "university": "ijk"}
OTHER_REPORT_SHARE = 0.04
INSTITUTIONS = {"north": "North General", "harbour": "Harbour Clinic", "university": "University Hospital"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortPart:
    """What a cohort's patients share; picklable, so that patients are simulated in parallel."""

    seed: int
    registration_error_mm: float
    size: str = "small"
    image_folder: Path | None = None
    """Where DICOM files go; None writes none."""

    def __call__(self, number: int) -> PatientPart:
        """Simulate patient ``number`` (from 1)."""
        return _PatientWriter(self, draw_course(self.seed, number)).write()


@dataclass(slots=True, kw_only=True)
class PatientPart:
    """One patient's share of every table and of the truth."""

    patient_id: str
    radiology: list[Row] = field(default_factory=list)
    pathology: list[Row] = field(default_factory=list)
    targets: list[Row] = field(default_factory=list)
    series: list[Row] = field(default_factory=list)
    lesions: list[Row] = field(default_factory=list)
    cases: list[Row] = field(default_factory=list)
    gold: list[Mapping[str, Any]] = field(default_factory=list)
    report_items: list[Row] = field(default_factory=list)
    files: int = 0


class _PatientWriter:
    def __init__(self, cohort: CohortPart, course: Course) -> None:
        self._cohort = cohort
        self._course = course
        self._draws = Draws(cohort.seed, course.patient_id, "records")
        self._part = PatientPart(patient_id=course.patient_id)
        self._vendor = self._draws.weighted(VENDOR_WEIGHTS)

    def write(self) -> PatientPart:
        prior: Study | None = None
        for index, study in enumerate(self._course.studies):
            self._write_study(self._draws.stream("study", index), index, study, prior)
            prior = study
        if self._draws.chance(OTHER_REPORT_SHARE):
            self._write_other_report()
        return self._part

    def _write_study(self, draws: Draws, index: int, study: Study, prior: Study | None) -> None:
        plan = plan_study(draws.stream("plan"), study.study_uid, study.gland, self._vendor, self._plan_options(study))
        self._write_images(study.study_uid, study, plan)
        truth = {region.key: self._lesion_truth(study, region) for region in study.regions}
        style = draws.pick(styles(ReportType.RADIOLOGY))
        facts = radiology_facts(draws.stream("facts"), study, plan, style, prior, self._course.age_years)
        labels = sheet_labels(draws.stream("labels"), study, facts)
        if study.defect != "no_radiology":
            self._write_radiology(draws, index, study, style, facts, truth)
        if study.biopsy is not None:
            self._write_biopsy(draws, index, study, study.biopsy, plan, labels, truth)
        self._part.cases.append(self._case_truth(study, "diagnostic"))
        self._part.lesions.extend(truth.values())

    def _plan_options(self, study: Study) -> PlanOptions:
        return PlanOptions(
            has_contrast=study.has_contrast,
            has_axial_t2=study.defect != "missing_t2",
            has_other_diffusion_frame=study.defect == "other_frame",
            size=self._cohort.size,
        )

    def _write_biopsy(
        self,
        draws: Draws,
        index: int,
        study: Study,
        biopsy: Biopsy,
        plan: ImagingPlan,
        labels: Mapping[str, str | None],
        truth: Mapping[str, Row],
    ) -> None:
        if biopsy.guidance == "in_bore":
            self._write_guidance_study(draws.stream("guidance"), index, study, biopsy)
        if biopsy.guidance in ("fusion", "in_bore") and study.defect != "no_sheet":
            for region in study.targeted:
                row = self._target_row(draws.stream("sheet", region.key), study, biopsy, plan, region, labels[region.key])
                self._part.targets.append(row)
                truth[region.key]["targets"].append({name: row[name] for name in ("target_label", "x", "y", "z", "frame")})
        if study.defect != "no_pathology":
            self._write_pathology(draws, study, biopsy, labels, truth)

    def _write_guidance_study(self, draws: Draws, index: int, study: Study, biopsy: Biopsy) -> None:
        uid = content_uid(self._cohort.seed, self._course.patient_id, "guidance", index)
        gland = draw_gland(draws, study.gland.volume_ml)
        plan = plan_guidance(draws, uid, gland, self._vendor, self._cohort.size)
        during = Study(
            study_uid=uid,
            accession=f"R{content_number(8, uid)}",
            day=biopsy.day,
            time=f"{draws.whole(8, 15):02d}3000",
            gland=gland,
            regions=(),
            negative_category=1,
            psa_ng_ml=study.psa_ng_ml,
            has_contrast=False,
            biopsy=None,
        )
        self._write_images(uid, during, plan)
        self._part.cases.append(self._case_truth(during, "intraprocedural"))

    def _write_radiology(self, draws: Draws, index: int, study: Study, style: str, facts: RadiologyFacts, truth: Mapping[str, Row]) -> None:
        report_id = f"RAD{content_number(9, self._cohort.seed, self._course.patient_id, 'radiology', index)}"
        versions = [(report_id, "F", draws.stream("radiology"), draws.whole(0, 3))]
        if study.defect == "preliminary":
            versions.insert(0, (f"{report_id}P", "P", draws.stream("preliminary"), 0))
        for identifier, status, words_of, delay in versions:
            report = write_radiology(words_of, identifier, self._course.patient_id, style, facts, LAYOUTS[self._course.site])
            self._part.radiology.append(self._radiology_row(study, report, status, delay))
            self._part.gold.append(report.gold.content)
            self._add_items(study, "radiology", report, [truth[key]["lesion_id"] for key in report.gold.item_scopes])
            for position, key in enumerate(report.gold.item_scopes):
                truth[key]["findings"].append({"report_id": identifier, "index": position})

    def _radiology_row(self, study: Study, report: WrittenReport, status: str, delay: int) -> Row:
        return {
            "report_id": report.report_id,
            "patient_id": self._course.patient_id,
            "accession": study.accession,
            "exam_date": "" if self._course.site == "harbour" else study.day.isoformat(),
            "report_date": (study.day + timedelta(days=delay)).isoformat(),
            "status": status,
            "title": "MRI PROSTATE",
            "institution": INSTITUTIONS[self._course.site],
            "text": report.text,
        }

    def _write_pathology(
        self, draws: Draws, study: Study, biopsy: Biopsy, labels: Mapping[str, str | None], truth: Mapping[str, Row]
    ) -> None:
        style = draws.pick(styles(ReportType.PATHOLOGY))
        containers = specimens(draws.stream("specimens"), study, labels, words.load("styles")["pathology"][style])
        layout = LAYOUTS["harbour" if self._course.site == "harbour" else "north"]
        report = write_pathology(
            draws.stream("pathology"),
            biopsy.accession,
            self._course.patient_id,
            style,
            containers,
            day=biopsy.day,
            mri_day=study.day,
            layout=layout,
        )
        signed = biopsy.day + timedelta(days=draws.whole(2, 7))
        self._part.pathology.append(
            {
                "patient_id": self._course.patient_id,
                "report_id": report.report_id,
                "day": signed.strftime("%m/%d/%Y"),
                "institution": INSTITUTIONS[self._course.site],
                "text": report.text,
            }
        )
        self._part.gold.append(report.gold.content)
        self._add_items(study, "pathology", report, [truth[s.lesion_key]["lesion_id"] if s.lesion_key else None for s in report.specimens])
        for position, specimen in enumerate(report.specimens):
            for key in {specimen.lesion_key, *specimen.hit_keys} - {None}:
                entry = {"report_id": report.report_id, "index": position, "is_targeted": specimen.lesion_key == key}
                truth[str(key)]["specimens"].append(entry)

    def _add_items(self, study: Study, kind: str, report: WrittenReport, lesion_ids: Sequence[str | None]) -> None:
        self._part.report_items.append(
            {
                "report_id": report.report_id,
                "patient_id": self._course.patient_id,
                "report_type": kind,
                "style": report.style,
                "study_uid": study.study_uid,
                "lesion_ids": list(lesion_ids),
            }
        )

    def _write_other_report(self) -> None:
        """A report of another organ, as bulk exports hold them."""
        draws = self._draws.stream("other")
        report_id = f"RAD{content_number(9, self._cohort.seed, self._course.patient_id, 'other')}"
        day = self._course.studies[-1].day + timedelta(days=draws.whole(-200, 200))
        self._part.radiology.append(
            {
                "report_id": report_id,
                "patient_id": self._course.patient_id,
                "accession": f"R{content_number(8, report_id)}",
                "exam_date": day.isoformat(),
                "report_date": day.isoformat(),
                "status": "F",
                "title": "MRI",
                "institution": INSTITUTIONS[self._course.site],
                "text": write_other(draws),
            }
        )
        self._part.gold.append(abstained(report_id, self._course.patient_id, ReportType.RADIOLOGY))

    def _target_row(self, draws: Draws, study: Study, biopsy: Biopsy, plan: ImagingPlan, region: Region, label: str | None) -> Row:
        """A row of the biopsy sheet: the lesion's centre with a registration error, in the frame of the site's system."""
        deviation = self._cohort.registration_error_mm / np.sqrt(3.0)
        error = np.array([draws.normal(0.0, deviation) for _ in range(3)])
        shown = plan.first("t2_axial")
        frame = SHEET_FRAMES[self._course.site] if shown else "LPS"
        x, y, z = _in_frame(np.array(region.centre) + error, frame, shown)
        is_brief = draws.chance(0.3)
        return {
            "patient_id": self._course.patient_id,
            "study_uid": "" if is_brief and self._course.site != "university" else study.study_uid,
            "series_uid": shown.series_uid if shown else "",
            "frame_of_reference_uid": (shown or plan.series[0]).frame_of_reference_uid,
            "target_label": "" if label is None else draws.pick(("{}", "{}", "ROI {}", "Target {}")).format(label),
            "x": x,
            "y": y,
            "z": z,
            "frame": frame,
            "units": "mm",
            "diameter_mm": "" if draws.chance(0.2) else str(round(region.diameter_mm)),
            "procedure_date": biopsy.day.isoformat(),
            "accession": study.accession,
            "source": {"fusion": "fusion", "in_bore": "in-bore"}[biopsy.guidance],
        }

    def _write_images(self, study_uid: str, study: Study, plan: ImagingPlan) -> None:
        self._part.series.extend(self._series_rows(study_uid, study, plan))
        if self._cohort.image_folder is None:
            return
        from weakbox.simulate.images import write_study

        header = StudyHeader(
            patient_id=self._course.patient_id,
            age_years=self._course.age_years,
            study_uid=study_uid,
            accession=study.accession,
            day=study.day,
            time=study.time,
            description=plan.description,
        )
        self._part.files += write_study(self._cohort.image_folder, self._course.site, header, plan, study.gland, study.regions)

    def _series_rows(self, study_uid: str, study: Study, plan: ImagingPlan) -> Iterator[Row]:
        site = words.load("series")[plan.vendor]
        for series in plan.series:
            protocol = PROTOCOLS[series.role]
            yield {
                "patient_id": self._course.patient_id,
                "study_uid": study_uid,
                "accession": study.accession,
                "study_date": study.day.isoformat(),
                "study_description": plan.description,
                "series_uid": series.series_uid,
                "series_number": series.number,
                "series_description": series.description,
                "modality": "MR",
                "image_count": series.image_count,
                "frame_of_reference_uid": series.frame_of_reference_uid,
                "manufacturer": site["manufacturer"],
                "model": series.model,
                "magnetic_field_strength_t": site["field_strengths"][series.model],
                "repetition_time_ms": protocol.repetition_ms,
                "echo_time_ms": protocol.echo_ms,
                "affine_lps": " ".join(f"{value:.6f}" for value in series.grid.affine),
                "shape_ijk": " ".join(str(size) for size in series.grid.shape),
            }

    def _lesion_truth(self, study: Study, region: Region) -> Row:
        return {
            "lesion_id": f"{self._course.patient_id}/{region.key}",
            "patient_id": self._course.patient_id,
            "study_uid": study.study_uid,
            "is_visible": region.pirads is not None,
            "pirads": region.pirads,
            "isup_grade": region.isup_grade,
            "status": "cancer" if region.isup_grade else "benign",
            "side": region.place.side,
            "zone": region.place.zone,
            "area": region.place.area,
            "levels": list(region.levels),
            "centre_lps": list(region.centre),
            "extents_mm": [round(extent, 3) for extent in region.extents],
            "box_corners_lps": [[round(value, 3) for value in corner] for corner in box_corners(region.centre, region.extents)],
            "max_diameter_mm": round(region.diameter_mm, 3),
            "findings": [],
            "targets": [],
            "specimens": [],
        }

    def _case_truth(self, study: Study, kind: str) -> Row:
        biopsy = study.biopsy
        has_pathology = biopsy is not None and study.defect != "no_pathology"
        return {
            "patient_id": self._course.patient_id,
            "study_uid": study.study_uid,
            "accession": study.accession,
            "study_date": study.day.isoformat(),
            "kind": kind,
            "defect": study.defect,
            "has_radiology": kind == "diagnostic" and study.defect != "no_radiology",
            "pathology_report_id": biopsy.accession if biopsy is not None and has_pathology else None,
            "has_systematic": has_pathology and biopsy is not None and biopsy.is_systematic,
            "guidance": biopsy.guidance if biopsy is not None else None,
            "case_isup_grade": max((region.isup_grade for region in study.regions), default=0),
            "visible_lesions": len(study.visible),
            "gland": _gland_truth(study.gland),
        }


def _gland_truth(gland: Gland) -> Row:
    return {
        "centre_lps": [round(value, 3) for value in gland.centre],
        "semi_axes_mm": [round(value, 3) for value in gland.semi_axes],
        "rotation": [round(value, 6) for value in gland.rotation],
    }


def _in_frame(lps: np.ndarray, frame: str, shown: SeriesPlan | None) -> tuple[str, str, str]:
    point: Point | np.ndarray = lps
    if frame == "RAS":
        point = (-lps[0], -lps[1], lps[2])
    elif frame == "ijk" and shown is not None:
        point = shown.grid.to_index(lps)
    x, y, z = (f"{float(value):.3f}" for value in point)
    return x, y, z
