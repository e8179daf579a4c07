import NIOCore

/// A request that is refused, in the words of the API or of the store.
struct Refusal: Error, CustomStringConvertible {
    enum Style: Sendable { case api, store }

    var style: Style
    var status: Int
    var code: String
    var message: String
    /// Besides those that every answer has.
    var headers: [(name: String, value: String)] = []
    /// The constraint of the specification that was violated, by its name.
    var constraint: String?

    var description: String { message }

    static func parameterInvalid(_ name: String, _ why: String) -> Refusal {
        Refusal(
            style: .api, status: 400, code: "parameter_invalid", message: "The \(name) parameter is invalid: \(why).")
    }

    static func parameterMissing(_ name: String) -> Refusal {
        Refusal(
            style: .api, status: 400, code: "parameter_not_provided",
            message: "The \(name) parameter is required but was not provided.")
    }

    static func parameterUnknown(_ name: String) -> Refusal {
        Refusal(style: .api, status: 400, code: "parameter_unknown", message: "The \(name) parameter is unknown.")
    }

    static func notFound(_ what: String) -> Refusal {
        Refusal(style: .api, status: 404, code: "resource_not_exist", message: "The \(what) does not exist.")
    }

    /// An error of the store, as S3 answers it.
    static func store(_ status: Int, _ code: String, _ message: String) -> Refusal {
        Refusal(style: .store, status: status, code: code, message: message)
    }

    var answer: SandboxAnswer {
        var answer = body
        answer.headers += headers
        return answer
    }

    private var body: SandboxAnswer {
        switch style {
        case .api:
            return .json(.object(["code": .string(code), "message": .string(message)]), status: status)
        case .store:
            let xml =
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>\(code)</Code>"
                + "<Message>\(message)</Message></Error>"
            return SandboxAnswer(
                status: status, headers: [("Content-Type", "application/xml")], body: .bytes(ByteBuffer(string: xml)))
        }
    }
}
