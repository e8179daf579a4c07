import GRDB

/// The tables. A version that is out in the world is never changed: what comes later is another migration.
enum JournalSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("uploads, sessions, chunks, nodes") { database in
            try database.execute(
                sql: """
                    CREATE TABLE uploads (
                        number INTEGER PRIMARY KEY, spool TEXT NOT NULL, path BLOB NOT NULL, filename TEXT NOT NULL,
                        type TEXT NOT NULL, writer TEXT, state TEXT NOT NULL, scope TEXT, size INTEGER NOT NULL,
                        boot TEXT NOT NULL, is_synced INTEGER NOT NULL, created INTEGER NOT NULL, closed INTEGER,
                        completed INTEGER, failure_kind TEXT, failure_code TEXT, failure_message TEXT,
                        failure_hint TEXT, failure_status INTEGER, asset_url TEXT, asset_status TEXT,
                        asset_error TEXT, superseded TEXT NOT NULL, abandoned TEXT NOT NULL,
                        retries INTEGER NOT NULL, given_up TEXT NOT NULL, checksum INTEGER NOT NULL);
                    CREATE TABLE sessions (
                        upload INTEGER PRIMARY KEY, upload_id TEXT NOT NULL, asset_id TEXT NOT NULL,
                        total_size INTEGER NOT NULL, chunk_size INTEGER NOT NULL, total_chunks INTEGER NOT NULL,
                        headers TEXT NOT NULL, expires_at INTEGER, deadline INTEGER, size_source TEXT,
                        checksum INTEGER NOT NULL);
                    CREATE TABLE chunks (
                        upload_id TEXT NOT NULL, chunk_index INTEGER NOT NULL, size INTEGER NOT NULL,
                        generation INTEGER NOT NULL, etag TEXT NOT NULL, md5 TEXT NOT NULL,
                        is_claimed INTEGER NOT NULL, checksum INTEGER NOT NULL,
                        PRIMARY KEY (upload_id, chunk_index)) WITHOUT ROWID;
                    CREATE TABLE nodes (
                        id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL,
                        is_directory INTEGER NOT NULL, mode INTEGER NOT NULL, uid INTEGER NOT NULL,
                        gid INTEGER NOT NULL, atime INTEGER NOT NULL, atime_ns INTEGER NOT NULL,
                        mtime INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime INTEGER NOT NULL,
                        ctime_ns INTEGER NOT NULL, size INTEGER, spool TEXT, upload INTEGER,
                        is_plain INTEGER NOT NULL, checksum INTEGER NOT NULL);
                    CREATE TABLE commits (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL);
                    INSERT INTO commits VALUES (1, 0);
                    """)
        }
        migrator.registerMigration("refused types") { database in
            try database.execute(sql: "ALTER TABLE uploads ADD COLUMN type_refusal TEXT")
        }
        migrator.registerMigration("names of failed calls") { database in
            try database.execute(sql: "ALTER TABLE uploads ADD COLUMN failure_trace TEXT")
        }
        migrator.registerMigration("ends of writers") { database in
            try database.execute(sql: "ALTER TABLE uploads ADD COLUMN writer_exit TEXT")
        }
        migrator.registerMigration("withdrawn and undecided uploads") { database in
            try database.execute(
                sql: """
                    ALTER TABLE uploads ADD COLUMN withdrawal INTEGER;
                    ALTER TABLE uploads ADD COLUMN is_undecided INTEGER;
                    """)
        }
        return migrator
    }
}
