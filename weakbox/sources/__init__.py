"""One file a way in: tables, text exports, folders, biopsy sheets, markups, segmentations."""
