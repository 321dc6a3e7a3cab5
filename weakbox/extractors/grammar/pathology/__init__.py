"""How pathology reports of the prostate are read: passages, specimens, diagnoses, grades, cores and extents."""
