"""From the rows of a set to batches: choosing, preparing once, ordering, augmenting."""
