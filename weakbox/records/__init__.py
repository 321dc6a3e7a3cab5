"""Frozen, typed records that flow between the stages. This package imports nothing of ours."""
