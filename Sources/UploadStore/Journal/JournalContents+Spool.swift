extension JournalContents {
    /// The names of the spool files that somebody may still want.
    public var spoolNames: Set<String> {
        Set(uploads.map(\.spool)).union(nodes.compactMap { $0.content?.spool })
    }
}
