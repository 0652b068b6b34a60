"""placeholder"""

from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
