"""One file a way to run many independent items: this machine's processes, or a Dask cluster."""
