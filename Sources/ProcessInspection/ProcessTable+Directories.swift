import Formats

extension ProcessTable {
    /// The processes whose working directory is a directory or below it, and where in it that is. Those that may not be
    /// looked at are left out, and all when the look gets stuck.
    ///
    /// - Parameters:
    ///   - directory: an absolute path without symbolic links, at which something is mounted.
    ///   - device: that of its file system. Who stands in what is beneath the mount is not inside.
    public func processes(inside directory: String, on device: DeviceNumber) -> [(process: Int32, path: [UInt8])] {
        let root = Array(directory.utf8)
        let found = threads.run { [self] steps -> [(process: Int32, path: [UInt8])] in
            (listing().value ?? []).compactMap { process in
                steps.next()
                let link = self.path(process.pid, "cwd")
                guard let path = RawFile.link(at: link), path.starts(with: root) else { return nil }
                let rest = path.dropFirst(root.count)
                guard rest.isEmpty || rest.first == UInt8(ascii: "/"),
                    fileStatus(link, true)?.device == device
                else { return nil }
                return (process.pid, Array(rest.dropFirst()))
            }
        }
        return (found ?? []).sorted { $0.process < $1.process }
    }
}
