"""How a stage is run: configuration, store, ledger, executors, progress, provenance."""
