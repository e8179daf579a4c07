/// Files that desktops and tools leave beside videos; nobody wants them on the platform.
enum Litter {
    static func contains(_ name: FoldedName) -> Bool {
        let names = [".ds_store", "thumbs.db", "desktop.ini", ".directory"]
        let suffixes = [".aria2", ".aria2__temp", ".ytdl"]
        return names.contains(where: name.equals) || suffixes.contains(where: name.hasSuffix)
            || name.hasPrefix("._") || isTrash(name)
    }

    /// Whether the name is that of a desktop's waste bin (`.Trash-1000`, `.Trashes`), or of a file that was put in one.
    static func isTrash(_ name: FoldedName) -> Bool {
        name.hasPrefix(".trash")
    }
}
