/// Programs that write files for others, who send them over a network.
///
/// Such a program closes what its client has finished. When the client is gone half-way it ends with the file open, and
/// mostly with status 0: that is no sign that the file is whole, as it is of a program that leaves its output to its exit.
public enum FileServer {
    /// By the program's name (`comm`): OpenSSH's three, vsftpd, ProFTPD, Pure-FTPd and Samba.
    private static let commands = Set(
        ["sftp-server", "sshd", "sshd-session", "vsftpd", "proftpd", "pure-ftpd", "smbd"].map { Array($0.utf8) })

    /// Whether a program of that name (`comm`) is one. Samba's processes add their client's address: `smbd[192.0.2.7]`.
    public static func isOne(_ command: [UInt8]) -> Bool {
        commands.contains(command) || command.starts(with: Array("smbd[".utf8))
    }

    /// What it means that one ends with a file open.
    public static let reason = "its writer, a file server, ended without closing it: the client was gone"
}
