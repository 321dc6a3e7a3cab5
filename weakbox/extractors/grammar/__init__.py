"""Report grammars: hand-written rules an organ and a report type, over the text layer."""
