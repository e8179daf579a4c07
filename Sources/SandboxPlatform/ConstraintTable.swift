extension Constraint {
    /// Every constraint that a specification puts on the requests that the stand-in serves, in the order in which they
    /// are looked at. Sources: the published OpenAPI documents of February and July 2026, and, for the codes, the
    /// platform's page of error codes.
    ///
    /// Bounds that a document gives in words only are meant here too: pages count from 1, `page_limit` "Max: 50", chunks
    /// "are numbered starting from 1", "a maximum of 50 URLs". A header parameter `Content-Type` is ignored by the rules
    /// of OpenAPI; the media type of a body is not.
    public static func all(of specification: Specification) -> [Constraint] {
        let july = specification == .july2026
        var rows = create(specification)
        rows += call(.list, pages) + paging(.list)
        rows += call(.status, pages) + paging(.status) + [known(.status, "upload_id")]
        rows += report + moreURLs
        rows += call(.assets, pages + ["asset_ids", "asset_types"] + (july ? ["filename"] : [])) + paging(.assets)
        rows.append(on(.assets, .query, "asset_types[]", .oneOf(["image", "video", "audio"])))
        if july { rows.append(on(.assets, .query, "filename", .type(.string))) }
        rows += call(.asset) + [known(.asset, "asset_id")]
        rows += call(.delete, july ? ["force"] : [])
        if july { rows.append(on(.delete, .query, "force", .type(.boolean))) }
        rows.append(known(.delete, "asset_id"))
        if july { rows += metadata }
        return rows
    }

    private static func create(_ specification: Specification) -> [Constraint] {
        let options = specification == .july2026 ? ["enable_hls", "enable_thumbnail", "user_metadata"] : []
        var rows = call(.create) + jsonBody(.create, ["filename", "type", "total_size"] + options)
        rows += field(.create, "filename", .string, [.minLength(1), .maxLength(255)])
        rows += field(.create, "type", .string, [.oneOf(specification.assetTypes)])
        rows += field(.create, "total_size", .integer, [.minimum(1)])
        switch specification {
        case .february2026: rows.append(on(.create, .body, "total_size", .maximum(specification.largestVideo)))
        case .july2026:
            rows += [
                on(
                    .create, .body, "total_size", .maximum(specification.largestVideo),
                    if: Condition(field: "type", values: ["video", "audio"])),
                on(
                    .create, .body, "total_size", .maximum(Specification.largestImage),
                    if: Condition(field: "type", values: ["image"])),
                on(.create, .body, "enable_hls", .type(.boolean)),
                on(.create, .body, "enable_thumbnail", .type(.boolean)),
                on(.create, .body, "user_metadata", .type(.object)),
                on(.create, .body, "user_metadata.*", .type(.metadata)),
            ]
        }
        return rows
    }

    private static var report: [Constraint] {
        let list = "completed_chunks"
        let chunk = ["chunk_index", "proof", "proof_type", "chunk_size"]
        return call(.report) + jsonBody(.report, [list])
            + field(.report, list, .array, [.minItems(1), .maxItems(50)])
            + [on(.report, .body, list + "[]", .type(.object)), on(.report, .body, list + "[]", .noOthers(chunk))]
            + field(.report, list + "[].chunk_index", .integer, [.minimum(1)])
            + field(.report, list + "[].proof", .string)
            + field(.report, list + "[].proof_type", .string, [.oneOf(["etag"])])
            + field(.report, list + "[].chunk_size", .integer)
            + [known(.report, "upload_id")]
    }

    private static var moreURLs: [Constraint] {
        call(.urls) + jsonBody(.urls, ["start", "count"]) + field(.urls, "start", .integer, [.minimum(1)])
            + field(.urls, "count", .integer, [.minimum(1), .maximum(50)]) + [known(.urls, "upload_id")]
    }

    private static var metadata: [Constraint] {
        call(.metadata) + jsonBody(.metadata, ["user_metadata"]) + field(.metadata, "user_metadata", .object)
            + [
                on(.metadata, .body, "user_metadata.*", .type(.metadataOrNull)), known(.metadata, "asset_id"),
            ]
    }

    // MARK: rows that come more than once

    private static let pages = ["page", "page_limit"]

    /// The key, and no parameters in the query but these.
    private static func call(_ call: RequestKind, _ parameters: [String] = []) -> [Constraint] {
        [
            Constraint(
                call: call, place: .header, parameter: "x-api-key", rule: .required, status: 401, code: "unauthorized"),
            Constraint(
                call: call, place: .header, parameter: "x-api-key", rule: .known, status: 403, code: "api_key_invalid"),
            on(call, .query, "", .noOthers(parameters)),
        ]
    }

    /// A body of JSON, with no fields but these.
    private static func jsonBody(_ call: RequestKind, _ fields: [String]) -> [Constraint] {
        [
            on(call, .header, "content-type", .required),
            on(call, .header, "content-type", .oneOf(["application/json"])),
            on(call, .body, "", .type(.object)), on(call, .body, "", .noOthers(fields)),
        ]
    }

    private static func paging(_ call: RequestKind) -> [Constraint] {
        [
            on(call, .query, "page", .type(.integer)), on(call, .query, "page", .minimum(1)),
            on(call, .query, "page_limit", .type(.integer)), on(call, .query, "page_limit", .minimum(1)),
            on(call, .query, "page_limit", .maximum(50)),
        ]
    }

    /// A field of the body that has to be there.
    private static func field(
        _ call: RequestKind, _ parameter: String, _ type: ValueType, _ rules: [Rule] = []
    ) -> [Constraint] {
        ([.required, .type(type)] + rules).map { on(call, .body, parameter, $0) }
    }

    /// The documents have 404 for uploads; for assets they have 400 only, and 404 is what the platform is seen to answer:
    /// `SandboxSettings.missingAssetStatus` makes it the other.
    private static func known(_ call: RequestKind, _ parameter: String) -> Constraint {
        Constraint(
            call: call, place: .path, parameter: parameter, rule: .known, status: 404, code: "resource_not_exist")
    }

    private static func on(
        _ call: RequestKind, _ place: Place, _ parameter: String, _ rule: Rule, if condition: Condition? = nil
    ) -> Constraint {
        let code =
            switch rule {
            case .required: "parameter_not_provided"
            case .noOthers: "parameter_unknown"
            case .type, .minimum, .maximum, .minLength, .maxLength, .minItems, .maxItems, .oneOf, .known:
                "parameter_invalid"
            }
        return Constraint(
            call: call, place: place, parameter: parameter, rule: rule, condition: condition, status: 400, code: code)
    }
}
