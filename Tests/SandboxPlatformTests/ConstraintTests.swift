import NIOHTTP1
import SandboxPlatform
import Testing

/// The stand-in against the constraints of the published specifications, each by a request that violates it alone.
@Suite struct ConstraintTests {
    @Test(
        "No constraint is without a request that violates it, and none is listed twice",
        arguments: Specification.allCases)
    func isViolatedByOneRequestEach(specification: Specification) {
        let rows = Constraint.all(of: specification).map(\.name)
        let violated = Violation.all(of: specification).map(\.constraint)
        #expect(Set(rows).subtracting(violated).isEmpty, "without a request that violates them")
        #expect(Set(violated).subtracting(rows).isEmpty, "not in the table")
        #expect(rows.count == Set(rows).count)
        #expect(violated.count == Set(violated).count)
    }

    @Test("What keeps to every constraint is accepted", arguments: Specification.allCases)
    func acceptsWhatIsInOrder(specification: Specification) async throws {
        try await withSandbox {
            $0.specification = specification
        } _: { sandbox, client in
            for call in Set(Constraint.all(of: specification).map(\.call)) {
                let draft = try await Ground(client).draft(call, specification)
                let reply = try await client.send(draft)
                #expect((200..<300).contains(reply.status), "\(call): \(reply.text)")
                #expect(sandbox.journal().last?.kind == call)
                #expect(sandbox.journal().last?.violation == nil)
            }
        }
    }

    @Test("Each constraint is enforced, with the documented status and code", arguments: Specification.allCases)
    func enforcesEachConstraint(specification: Specification) async throws {
        try await withSandbox {
            $0.specification = specification
        } _: { _, client in
            for violation in Violation.all(of: specification) {
                let problems = try await problems(with: violation, specification, client)
                #expect(problems.isEmpty, "\(violation.constraint)")
            }
        }
    }

    @Test("A constraint that is not enforced would be noticed", arguments: Specification.allCases)
    func noticesAConstraintThatIsNotEnforced(specification: Specification) async throws {
        let violations = Violation.all(of: specification)
        for row in Constraint.all(of: specification) {
            try await withSandbox {
                $0.specification = specification
                $0.unenforced = [row]
            } _: { _, client in
                for violation in violations where violation.constraint == row.name {
                    let problems = try await problems(with: violation, specification, client)
                    #expect(!problems.isEmpty, "\(row.name)")
                }
            }
        }
    }

    /// What is not as it has to be when a request violates a constraint.
    private func problems(
        with violation: Violation, _ specification: Specification, _ client: SandboxClient
    ) async throws -> [String] {
        var draft = try await Ground(client).draft(violation.call, specification)
        violation.spoil(&draft)
        let reply = try await client.send(draft)
        let entry = client.sandbox.journal().last
        var problems: [String] = []
        if entry?.kind != violation.call { problems.append("it came as \(entry?.kind.rawValue ?? "nothing")") }
        if reply.status != violation.status { problems.append("status \(reply.status)") }
        if reply.code != violation.code { problems.append("code \(reply.code ?? "none")") }
        let message = reply.json["message"]?.string ?? ""
        if !message.contains(violation.named) { problems.append("message \(message)") }
        if entry?.violation != violation.constraint { problems.append("violation \(entry?.violation ?? "none")") }
        return problems
    }

    @Test("What is just within the bounds is accepted")
    func acceptsWhatIsJustWithinTheBounds() async throws {
        let within: [(RequestKind, Specification, (inout Draft) -> Void)] = [
            (.create, .july2026, { $0["filename"] = "m" }),
            (.create, .july2026, { $0["filename"] = .string(String(repeating: "ü", count: 255)) }),
            (.create, .july2026, { $0["total_size"] = 1 }),
            (.create, .july2026, { $0["total_size"] = 10_000_000_000 }),
            (.create, .july2026, { $0["type"] = "audio" }),
            (.create, .february2026, { $0["total_size"] = 4_294_967_296 }),
            (
                .create, .july2026,
                {
                    $0["type"] = "image"
                    $0["total_size"] = 32_000_000
                }
            ),
            (
                .report, .july2026,
                { draft in
                    let chunk = draft["completed_chunks.0"] ?? .null
                    draft["completed_chunks"] = .array(Array(repeating: chunk, count: 50))
                }
            ),
            (.urls, .july2026, { $0["count"] = 1 }), (.urls, .february2026, { $0["count"] = 50 }),
            (.list, .july2026, { $0.query = ["page_limit=1"] }), (.assets, .july2026, { $0.query = [] }),
        ]
        for (call, specification, change) in within {
            try await withSandbox {
                $0.specification = specification
            } _: { _, client in
                var draft = try await Ground(client).draft(call, specification)
                change(&draft)
                let reply = try await client.send(draft)
                #expect((200..<300).contains(reply.status), "\(call): \(reply.text)")
            }
        }
    }

    @Test("A request that a fault answers is held to the constraints too")
    func tellsOfViolationsThatAFaultHides() async throws {
        try await withSandbox { sandbox, client in
            sandbox.add(InjectedFault(on: [.urls], .status(503)))
            let session = try await client.create(1000)
            #expect(try await client.urls(session, start: 1, count: 51).status == 503)
            #expect(sandbox.journal().last?.violation == "urls body count maximum 50")
            #expect(sandbox.journal().last?.body == #"{"count":51,"start":1}"#)
        }
    }

    @Test("February knows no metadata of assets")
    func hasNoCallsThatTheSpecificationHasNot() async throws {
        try await withSandbox {
            $0.specification = .february2026
        } _: { _, client in
            let ground = try await Ground(client)
            #expect(try await client.send(ground.draft(.metadata, .july2026)).status == 404)
            #expect(try await client.send(ground.draft(.create, .july2026)).code == "parameter_unknown")
            #expect(try await client.call(.DELETE, "/\(ground.assetID)").status == 204)
        }
    }

    @Test("A larger limit of the account takes the place of the specification's")
    func takesTheAccountsLimit() async throws {
        try await withSandbox {
            $0.maxFileSize = 20_000_000_000
        } _: { sandbox, client in
            let ground = try await Ground(client)
            var draft = ground.draft(.create, .july2026)
            draft["total_size"] = 20_000_000_000
            #expect(try await client.send(draft).status == 201)
            draft["total_size"] = 20_000_000_001
            #expect(try await client.send(draft).json["message"]?.string?.contains("20000000000") == true)
            draft["type"] = "image"
            draft["total_size"] = 32_000_001
            #expect(try await client.send(draft).status == 400)
            _ = try await client.control(.POST, "configuration", #"{"spec":"2026-02","max_file_size":null}"#)
            var february = ground.draft(.create, .february2026)
            february["total_size"] = 4_294_967_297
            #expect(try await client.send(february).json["message"]?.string?.contains("4294967296") == true)
        }
    }
}
