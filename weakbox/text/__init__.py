"""Report text: normalising with an offset map, sections, assertion, quantities."""
