"""Record linkage without medicine: stable one-to-one assignment, labels and accession numbers, which study a record names."""
