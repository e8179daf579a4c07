import SandboxPlatform

/// A request that violates one constraint, and what the published specification has it answered with.
///
/// Written from the specification, not from the stand-in's table: what the two do not have in common, a test tells.
struct Violation: Sendable {
    /// The constraint, as ``Constraint/name`` has it.
    let constraint: String
    let call: RequestKind
    let status: Int
    let code: String
    /// What the message has to name.
    let named: String
    /// Spoils a request that keeps to every constraint.
    let spoil: @Sendable (inout Draft) -> Void

    init(
        _ call: RequestKind, _ constraint: String, _ status: Int = 400, _ code: String = "parameter_invalid",
        naming name: String, _ spoil: @escaping @Sendable (inout Draft) -> Void
    ) {
        self.constraint = "\(call.rawValue) \(constraint)"
        self.call = call
        self.status = status
        self.code = code
        named = name
        self.spoil = spoil
    }

    static func all(of specification: Specification) -> [Violation] {
        let july = specification == .july2026
        let bodies: [RequestKind] = [.create, .report, .urls] + (july ? [.metadata] : [])
        var all = create
        all += july ? createInJuly : createInFebruary
        all += ([.list, .status, .assets, .asset, .delete] + bodies).flatMap { call($0) } + bodies.flatMap { body($0) }
        all += [.list, .status, .assets].flatMap { paging($0) }
        all += report + moreURLs
        all += [.status, .report, .urls].map { gone($0, "upload_id") }
        all += ([.asset, .delete] + (july ? [.metadata] : [])).map { gone($0, "asset_id") }
        all.append(
            Violation(.assets, "query asset_types[] enum image, video, audio", naming: "asset_types[2]") {
                $0.query.append("asset_types=text")
            })
        if july { all += listAndChangeInJuly }
        return all
    }

    // MARK: every call

    private static func call(_ call: RequestKind) -> [Violation] {
        [
            Violation(call, "header x-api-key required", 401, "unauthorized", naming: "x-api-key") {
                $0.headers["x-api-key"] = nil
            },
            Violation(call, "header x-api-key known", 403, "api_key_invalid", naming: "API Key") {
                $0.headers["x-api-key"] = "another's"
            },
            Violation(call, "query additionalProperties false", 400, "parameter_unknown", naming: "colour") {
                $0.query.append("colour=red")
            },
        ]
    }

    private static func body(_ call: RequestKind) -> [Violation] {
        [
            Violation(call, "header content-type required", 400, "parameter_not_provided", naming: "content-type") {
                $0.headers["content-type"] = nil
            },
            Violation(call, "header content-type enum application/json", naming: "content-type") {
                $0.headers["content-type"] = "text/plain"
            },
            Violation(call, "body type object", naming: "body") { $0.body = .array([$0.body ?? .null]) },
            Violation(call, "body additionalProperties false", 400, "parameter_unknown", naming: "colour") {
                $0["colour"] = "red"
            },
        ]
    }

    private static func paging(_ call: RequestKind) -> [Violation] {
        func query(_ pages: String, _ constraint: String, naming name: String) -> Violation {
            Violation(call, "query \(name) \(constraint)", naming: name) {
                $0.query.removeAll { $0.hasPrefix("page") }
                $0.query.append(pages)
            }
        }
        return [
            query("page=first", "type integer", naming: "page"), query("page=0", "minimum 1", naming: "page"),
            query("page_limit=5&page_limit=6", "type integer", naming: "page_limit"),
            query("page_limit=0", "minimum 1", naming: "page_limit"),
            query("page_limit=51", "maximum 50", naming: "page_limit"),
        ]
    }

    private static func gone(_ call: RequestKind, _ parameter: String) -> Violation {
        let id = "507f1f77bcf86cd799439011"
        return Violation(call, "path \(parameter) known", 404, "resource_not_exist", naming: id) { draft in
            let parts = draft.path.split(separator: "/")
            let place = parts.first == "multipart-uploads" ? 1 : 0
            draft.path = "/" + parts.enumerated().map { $0 == place ? id : String($1) }.joined(separator: "/")
        }
    }

    /// A field that has to be there, and has to be of a type.
    private static func field(
        _ call: RequestKind, _ constraint: String, at path: String, _ type: String, instead value: SandboxJSON
    ) -> [Violation] {
        let name = String(path.split(separator: ".").last ?? "")
        return [
            Violation(call, "body \(constraint) required", 400, "parameter_not_provided", naming: name) {
                $0[path] = nil
            },
            Violation(call, "body \(constraint) type \(type)", naming: name) { $0[path] = value },
        ]
    }

    private static func set(
        _ call: RequestKind, _ constraint: String, at path: String, to value: SandboxJSON, naming name: String? = nil
    ) -> Violation {
        let last = path.split(separator: ".").last.map { String($0) }
        return Violation(call, "body \(constraint)", naming: name ?? last ?? "") { $0[path] = value }
    }

    // MARK: create

    private static var create: [Violation] {
        field(.create, "filename", at: "filename", "string", instead: 7)
            + field(.create, "type", at: "type", "string", instead: .array(["video"]))
            + field(.create, "total_size", at: "total_size", "integer", instead: "1500")
            + [
                set(.create, "filename minLength 1", at: "filename", to: ""),
                set(
                    .create, "filename maxLength 255", at: "filename",
                    to: .string(String(repeating: "ü", count: 252) + ".mp4")),
                set(.create, "total_size minimum 1", at: "total_size", to: 0),
            ]
    }

    private static let createInFebruary = [
        set(.create, "type enum video", at: "type", to: "audio"),
        set(.create, "total_size maximum 4294967296", at: "total_size", to: 4_294_967_297),
    ]

    private static let createInJuly = [
        set(.create, "type enum video, audio, image", at: "type", to: "text"),
        set(
            .create, "total_size maximum 10000000000 if type is video, audio", at: "total_size", to: 10_000_000_001),
        Violation(.create, "body total_size maximum 32000000 if type is image", naming: "total_size") {
            $0["type"] = "image"
            $0["total_size"] = 32_000_001
        },
        set(.create, "enable_hls type boolean", at: "enable_hls", to: "true"),
        set(.create, "enable_thumbnail type boolean", at: "enable_thumbnail", to: .null),
        set(.create, "user_metadata type object", at: "user_metadata", to: "take=3"),
        set(.create, "user_metadata.* type metadata", at: "user_metadata.take", to: .array(["a", "b"])),
    ]

    // MARK: sessions

    private static var report: [Violation] {
        let chunk = "completed_chunks.0"
        let name = "completed_chunks"
        return field(.report, name, at: name, "array", instead: .object([:]))
            + field(.report, "\(name)[].chunk_index", at: "\(chunk).chunk_index", "integer", instead: .number(1.5))
            + field(.report, "\(name)[].proof", at: "\(chunk).proof", "string", instead: 7)
            + field(.report, "\(name)[].proof_type", at: "\(chunk).proof_type", "string", instead: true)
            + field(.report, "\(name)[].chunk_size", at: "\(chunk).chunk_size", "integer", instead: "1000")
            + [
                set(.report, "\(name) minItems 1", at: name, to: .array([])),
                Violation(.report, "body \(name) maxItems 50", naming: name) { draft in
                    guard let chunk = draft[chunk] else { return }
                    draft[name] = .array(Array(repeating: chunk, count: 51))
                },
                set(.report, "\(name)[] type object", at: chunk, to: 1, naming: "\(name)[0]"),
                Violation(
                    .report, "body \(name)[] additionalProperties false", 400, "parameter_unknown", naming: "colour"
                ) { $0["\(chunk).colour"] = "red" },
                set(.report, "\(name)[].chunk_index minimum 1", at: "\(chunk).chunk_index", to: 0),
                set(.report, "\(name)[].proof_type enum etag", at: "\(chunk).proof_type", to: "md5"),
            ]
    }

    private static var moreURLs: [Violation] {
        field(.urls, "start", at: "start", "integer", instead: "1")
            + field(.urls, "count", at: "count", "integer", instead: .number(1.5))
            + [
                set(.urls, "start minimum 1", at: "start", to: 0), set(.urls, "count minimum 1", at: "count", to: 0),
                set(.urls, "count maximum 50", at: "count", to: 51),
            ]
    }

    // MARK: assets

    private static var listAndChangeInJuly: [Violation] {
        [
            Violation(.assets, "query filename type string", naming: "filename") { $0.query.append("filename=b") },
            Violation(.delete, "query force type boolean", naming: "force") { $0.query = ["force=yes"] },
            set(
                .metadata, "user_metadata.* type metadataOrNull", at: "user_metadata.take", to: .object(["a": 1])),
        ] + field(.metadata, "user_metadata", at: "user_metadata", "object", instead: .array([]))
    }
}
