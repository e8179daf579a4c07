import Testing

/// The statements of the Semantics or the Threats page that a test shows: it fails when one of them is not true.
///
/// `scripts/lint/semantics.py` compares the ids with those of the pages: every statement has a test, and no test bears an
/// id that no page has. A test that fails prints what it shows.
package struct ShownStatements: TestTrait, SuiteTrait {
    /// Their ids on the page.
    package let ids: [String]

    package var comments: [Comment] { ids.map { "a page states this as '\($0)'" } }
}

extension Trait where Self == ShownStatements {
    /// Marks a test as showing the statements of these ids.
    package static func shows(_ ids: String...) -> Self { ShownStatements(ids: ids) }
}
