"""Reading reports with a language model: batches and a shared prefix against one by one, and answers from the cache.

On a CUDA device the architecture is that of an 8B instruct model with random weights, otherwise a small one: speed does
not depend on what the weights know. Constrained decoding is on, as in use.
"""

from __future__ import annotations
