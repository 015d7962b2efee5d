# SPDX-License-Identifier: Apache-2.0
"""Tar files to standard output for the `make` scripts beside this file; the same bytes every time."""
import io
import sys
import tarfile


class Archive:
    def __init__(self):
        self.tar = tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT)

    def add(self, name, content=b"", type=tarfile.REGTYPE, mode=0o644, mtime=1000000000, records=None, **fields):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.mtime, entry.size = type, mode, mtime, len(content)
        entry.pax_headers = records or {}
        for field, value in fields.items():
            setattr(entry, field, value)
        self.tar.addfile(entry, io.BytesIO(content))

    def directory(self, name, **fields):
        self.add(name, type=tarfile.DIRTYPE, mode=0o755, **fields)

    def sparse(self, name, size, runs):
        """A file with data at `runs`, a list of (offset, bytes): PAX sparse 1.0."""
        numbers = [len(runs)] + [n for offset, data in runs for n in (offset, len(data))]
        table = "".join(f"{n}\n" for n in numbers).encode()
        table += bytes(-len(table) % 512)
        self.add(f"GNUSparseFile.0/{name}", table + b"".join(data for _, data in runs), records={
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name, "GNU.sparse.realsize": str(size)})

    def close(self):
        self.tar.close()
