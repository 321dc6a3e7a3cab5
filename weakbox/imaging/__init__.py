"""DICOM index, series roles, b-values, volumes, geometry in LPS millimetres, resampling, diffusion maps."""
