/// Why something is not opened: somebody else could have put it there.
package struct UntrustedPath: Error, Equatable {
    /// Which step it is, and whose, as a sentence without its full stop.
    package let words: String
    /// What to do about it, where that can be told.
    package let remedy: String?

    init(_ words: String, remedy: String? = nil) {
        self.words = words
        self.remedy = remedy
    }
}
