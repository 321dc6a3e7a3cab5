"""Language models behind one interface: local ones and servers. No medicine; only `llm.py` imports this package."""
