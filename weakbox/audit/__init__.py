"""What a run did: flow diagram, coverage, agreement, figures, summary."""
