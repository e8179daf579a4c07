"""Many files with few descriptors."""
import os
import shutil
import sqlite3
import threading
import time

from .place import expect, read, write

MASK = (1 << 64) - 1
UPLOAD_COLUMNS = (
    "number spool path filename type writer state scope size boot is_synced created closed completed failure_kind "
    "failure_code failure_message failure_hint failure_status asset_url asset_status asset_error superseded abandoned "
    "retries given_up type_refusal failure_trace").split()
SESSION_COLUMNS = (
    "upload upload_id asset_id total_size chunk_size total_chunks headers expires_at deadline size_source").split()
NODE_COLUMNS = (
    "id parent name is_directory mode uid gid atime atime_ns mtime mtime_ns ctime ctime_ns size spool upload "
    "is_plain").split()


def _checksum(table, values):
    """As the journal has it: FNV-1a over a row's values with their types and lengths."""
    text = bytearray(table.encode())
    for value in values:
        if value is None:
            text.append(0)
        elif isinstance(value, int):
            text += b"\1" + (value & MASK).to_bytes(8, "little")
        else:
            kind, value = (3, value.encode()) if isinstance(value, str) else (4, value)
            text += bytes([kind]) + len(value).to_bytes(8, "little") + value
    hash_value = 0xCBF29CE484222325
    for byte in text:
        hash_value = ((hash_value ^ byte) * 0x100000001B3) & MASK
    return hash_value - (1 << 64) if hash_value >> 63 else hash_value


def _put(database, table, columns, row, later=0):
    """Writes a row; the last `later` columns came with later versions, and do not count while they are NULL."""
    values = [row[name] for name in columns]
    summed = list(values)
    for _ in range(later):
        if summed[-1] is None:
            summed.pop()
    marks = ", ".join("?" * (len(columns) + 1))
    database.execute(
        f"INSERT INTO {table} ({', '.join(columns)}, checksum) VALUES ({marks})", [*values, _checksum(table, summed)])


def _multiply(state, total):
    """Makes as many files in the journal and the spool of a mount that has ended as are wanted, of the two that it has: one
    uploaded, one local."""
    database = sqlite3.connect(f"{state}/journal.sqlite")
    database.row_factory = sqlite3.Row
    uploaded, local = (
        dict(database.execute("SELECT * FROM nodes WHERE name = ?", (name,)).fetchone())
        for name in (b"uploaded.mp4", b"local.txt"))
    upload = dict(database.execute("SELECT * FROM uploads WHERE number = ?", (uploaded["upload"],)).fetchone())
    session = dict(database.execute("SELECT * FROM sessions WHERE upload = ?", (uploaded["upload"],)).fetchone())
    for table, row, columns, later in (
            ("nodes", local, NODE_COLUMNS, 0), ("uploads", upload, UPLOAD_COLUMNS, 2),
            ("sessions", session, SESSION_COLUMNS, 0)):
        values = [row[name] for name in columns]
        while later and values[-1] is None:
            later -= 1
            values.pop()
        expect(_checksum(table, values) == row["checksum"], f"the journal's checksums are others than this tool's: {table}")
    first = 1 + database.execute("SELECT MAX(id) FROM nodes").fetchone()[0]
    number = 1 + database.execute("SELECT MAX(number) FROM uploads").fetchone()[0]
    spool = f"{state}/spool"
    for index in range(total - 2):
        name = f"{index:06}.mp4"
        template = local if index % 2 else uploaded
        spool_name = f"{index:016x}"
        shutil.copyfile(f"{spool}/{template['spool']}", f"{spool}/{spool_name}")
        node = {**template, "id": first + index, "spool": spool_name}
        if template is uploaded:
            node |= {"name": name.encode(), "upload": number}
            record = {**upload, "number": number, "spool": spool_name, "path": name.encode(), "filename": name}
            _put(database, "uploads", UPLOAD_COLUMNS, record, later=2)
            opened = {**session, "upload": number, "upload_id": f"copy-{number}", "asset_id": f"copy-{number}"}
            _put(database, "sessions", SESSION_COLUMNS, opened)
            number += 1
        else:
            node["name"] = f"{index:06}.txt".encode()
        _put(database, "nodes", NODE_COLUMNS, node)
    database.commit()
    database.close()


def many_listed(place):
    """A mount that lists many more files than it may have open starts, and works."""
    total, limit = place.count(100_000), 1024
    options = ["--other-files", "keep"]
    place.start(*options)
    for name in ("uploaded.mp4", "local.txt"):
        write(place.path(name), name.encode() * 10)
    place.settle()
    place.unmount()
    _multiply(place.mount.state, total)
    began = time.monotonic()
    place.start(*options, descriptors=limit)
    seconds = time.monotonic() - began
    names = [name for name in os.listdir(place.mount.path)]
    expect(len(names) == total, f"{len(names)} files are listed")
    place.random.shuffle(names)
    for name in names[:3000]:
        wanted = b"uploaded.mp4" if name.endswith(".mp4") else b"local.txt"
        expect(read(place.path(name)) == wanted * 10, f"{name} is not what was written")
    write(place.path("new.mp4"), b"new" * 1000)
    expect(place.mount.status("new.mp4")["state"] == "completed", "a new file was not uploaded")
    descriptors, memory = place.descriptors(), place.memory()
    expect(descriptors < limit, f"{descriptors} descriptors")
    place.unmount()
    place.start(*options, descriptors=limit)
    expect(len(os.listdir(place.mount.path)) == total + 1, "the next mount lists other files")
    return (f"{total} files, mounted in {seconds:.1f} s with a limit of {limit} descriptors: {descriptors} used, "
            f"{memory / 1024:.0f} MiB")


def few_descriptors(place):
    """More files are written at once than there are descriptors."""
    count, limit = place.count(160), 128
    place.start(descriptors=limit)
    data = [os.urandom(30_000) for _ in range(count)]
    opened = [os.open(place.path(f"{number}.mp4"), os.O_RDWR | os.O_CREAT) for number in range(count)]
    for start in range(0, 30_000, 10_000):
        for descriptor, content in zip(opened, data):
            os.pwrite(descriptor, content[start:start + 10_000], start)
    failures = []

    def close(number):
        try:
            os.close(opened[number])
        except OSError as error:
            failures.append((number, error))

    closing = [threading.Thread(target=close, args=(number,)) for number in range(count)]
    began = time.monotonic()
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join()
    seconds = time.monotonic() - began
    expect(not failures, f"{len(failures)} closes failed: {failures[:3]}")
    assets = place.assets()
    for number, content in enumerate(data):
        expect(read(place.path(f"{number}.mp4")) == content, f"file {number} is not what was written")
        expect(len(assets.get(f"{number}.mp4", [])) == 1, f"file {number} is not one asset")
    return f"{count} files open and closed at once with {limit} descriptors, in {seconds:.1f} s; {place.descriptors()} used"
