"""The published form of the events: JSON Schemas, AsyncAPI documents and golden files, and the law of their evolution.

`python -m redress_spine.schemas` writes the folder `schemas/` at the root of the repository, `--check` compares it with the code.
Inside `schemas/`, `json/` and `asyncapi/` mirror the code and are written again each time; `published/` and `golden/` only ever grow.
"""
