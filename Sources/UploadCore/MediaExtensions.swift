/// The extensions by which a file is taken for a video or an audio file.
enum MediaExtensions {
    static func kind(of name: FoldedName) -> AssetKind? {
        guard let text = name.fileExtension else { return nil }
        if video.contains(text) { return .video }
        if audio.contains(text) { return .audio }
        return nil
    }

    /// What FFmpeg, and with it the platform, reads as video.
    private static let video: Set<String> = [
        "3g2", "3gp", "3gpp", "amv", "asf", "avi", "divx", "drc", "dv", "dvr-ms", "evo", "f4v", "flv", "gxf", "h264",
        "h265", "264", "265", "hevc", "ivf", "m1v", "m2p", "m2t", "m2ts", "m2v", "m4v", "mjpeg", "mjpg", "mk3d", "mkv",
        "mod", "mov", "mp4", "mp4v", "mpe", "mpeg", "mpegts", "mpg", "mpv", "mts", "mxf", "nsv", "nut", "obu", "ogm",
        "ogv", "ogx", "qt", "rm", "rmvb", "roq", "tod", "tp", "trp", "ts", "vob", "webm", "wmv", "wtv", "y4m",
    ]

    /// What FFmpeg, and with it the platform, reads as audio.
    private static let audio: Set<String> = [
        "aac", "ac3", "adts", "aif", "aifc", "aiff", "amr", "ape", "au", "caf", "dff", "dsf", "dts", "eac3", "flac",
        "m4a", "m4b", "m4r", "mka", "mp1", "mp2", "mp3", "mpa", "mpc", "oga", "ogg", "opus", "ra", "shn", "snd", "spx",
        "tta", "w64", "wav", "weba", "wma", "wv",
    ]
}
