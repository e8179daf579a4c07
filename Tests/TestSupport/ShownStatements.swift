import Testing

/// The statements of the Semantics page that a test shows: it fails when one of them is not true.
///
/// `scripts/lint/semantics.py` compares the ids with those of the page: every statement has a test, and no test bears an
/// id that the page does not have. A test that fails prints what it shows.
package struct ShownStatements: TestTrait, SuiteTrait {
    /// Their ids on the page.
    package let ids: [String]

    package var comments: [Comment] { ids.map { "the Semantics page states this as '\($0)'" } }
}

extension Trait where Self == ShownStatements {
    /// Marks a test as showing the statements of these ids.
    package static func shows(_ ids: String...) -> Self { ShownStatements(ids: ids) }
}
