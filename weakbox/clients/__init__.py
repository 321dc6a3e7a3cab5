"""How bytes are fetched. A file here knows a protocol and no dataset; `transfer.py` is the one engine that downloads."""
