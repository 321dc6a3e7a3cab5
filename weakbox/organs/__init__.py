"""One file an organ: the fields its reports state, where its parts lie, how they are coded."""
