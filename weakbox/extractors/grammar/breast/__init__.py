"""The parts of the breast grammars: places, radiology, pathology."""
