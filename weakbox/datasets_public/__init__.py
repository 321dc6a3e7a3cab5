"""One file a public data set: where its files lie, its annotations as records, its licence, its citation, its traps."""
