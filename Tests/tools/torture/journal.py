"""What twelvefs had written down when it was killed: read from a copy, as anybody could read it."""
import contextlib
import os
import shutil
import sqlite3

NAME = "journal.sqlite"


# A page of the database, and what its log puts before one.
RECORD = 4096 + 24


def flip_a_bit(state_directory, folder, randomness):
    """Damages the journal that nobody serves; returns whether SQLite by itself would miss anything.

    What the log ends with does not count: a crash may have kept its last record from being whole.
    """
    before = JournalCopy(state_directory, folder).everything()
    files = [f"{state_directory}/{NAME}", f"{state_directory}/{NAME}-wal"]
    path = randomness.choice([file for file in files if os.path.exists(file) and os.path.getsize(file)])
    place = randomness.randrange(os.path.getsize(path))
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0] ^ 1 << randomness.randrange(8)
        file.seek(place)
        file.write(bytes([byte]))
    if path.endswith("-wal") and place >= os.path.getsize(path) - RECORD:
        return False
    try:
        return JournalCopy(state_directory, folder).everything() != before
    except sqlite3.DatabaseError:
        return True


class JournalCopy:
    """The journal of a state directory as it is at a moment."""

    def __init__(self, state_directory, folder, is_in_use=False):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self.path = f"{folder}/{NAME}"
        if is_in_use:
            # Files that are being written cannot be copied; SQLite can copy what they hold.
            with contextlib.closing(sqlite3.connect(f"{state_directory}/{NAME}")) as source:
                with contextlib.closing(sqlite3.connect(self.path)) as target:
                    source.backup(target)
            return
        # Without the index of the log, which SQLite makes anew.
        for suffix in ("", "-wal"):
            if os.path.exists(f"{state_directory}/{NAME}{suffix}"):
                shutil.copy2(f"{state_directory}/{NAME}{suffix}", f"{folder}/{NAME}{suffix}")

    def _rows(self, query, *values):
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, values)]

    def stored_chunks(self):
        """{(session's id, chunk's index): (generation, ETag)} of what the store is known to have of closed files."""
        rows = self._rows(
            "SELECT chunks.* FROM chunks JOIN sessions USING (upload_id) JOIN uploads ON uploads.number = upload "
            "WHERE closed IS NOT NULL")
        return {(row["upload_id"], row["chunk_index"]): (row["generation"], row["etag"]) for row in rows}

    def everything(self):
        return [self._rows(f"SELECT * FROM {table}") for table in ("uploads", "sessions", "chunks", "nodes")]

    def uploads(self):
        """{file name: [state, …]} of all uploads."""
        known = {}
        for row in self._rows("SELECT filename, state FROM uploads ORDER BY number"):
            known.setdefault(row["filename"], []).append(row["state"])
        return known

    def about(self, name):
        """All that is known of a name, for whoever investigates."""
        lines = []
        for upload in self._rows("SELECT * FROM uploads WHERE filename = ?", name):
            for session in self._rows("SELECT * FROM sessions WHERE upload = ?", upload["number"]):
                chunks = self._rows(
                    "SELECT chunk_index, is_claimed FROM chunks WHERE upload_id = ?", session["upload_id"])
                lines.append(f"session {session['upload_id']} of {session['total_size']} bytes, chunks {chunks}")
            lines.append(str({key: value for key, value in upload.items() if value is not None}))
        for node in self._rows("SELECT * FROM nodes WHERE name = ?", name.encode()):
            lines.append(f"node {node['id']} in {node['parent']}, size {node['size']}, upload {node['upload']}")
        return lines or ["the journal does not know the name"]
